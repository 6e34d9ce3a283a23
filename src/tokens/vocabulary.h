// The simulated vocabulary: a tokenizer that is exact both ways.
//
// 256 byte tokens, then 1,024 three-letter words with a leading space (" bab", " bad", ...), then the same
// words without it, then one end-of-sequence token that no text contains. Text becomes tokens by longest
// match from the left; a byte that starts no word is a byte token. Hence any run of " abc" words has
// exactly one token for every four bytes, and decode(encode(text)) == text for every byte string.
// The words are consonant-vowel-consonant over kConsonants x kVowels x kConsonants.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace kvasir {

using TokenId = uint32_t;

inline constexpr std::string_view kConsonants = "bcdfghjklmnprstv";
inline constexpr std::string_view kVowels = "aeio";
inline constexpr uint32_t kByteTokens = 256;
inline constexpr uint32_t kWords = 16 * 4 * 16;
inline constexpr TokenId kFirstSpacedWord = kByteTokens;
inline constexpr TokenId kFirstBareWord = kByteTokens + kWords;
inline constexpr TokenId kEndOfSequence = kByteTokens + 2 * kWords;
inline constexpr uint32_t kVocabularySize = kEndOfSequence + 1;
inline constexpr std::string_view kEndOfSequenceText = "<|endoftext|>";

// All functions are pure and thread-safe.

std::vector<TokenId> encode(std::string_view text);

// Appends the bytes of `token` to `text`; the end of sequence adds nothing. Precondition: token < kVocabularySize.
void append_token_text(TokenId token, std::string& text);
std::string decode(std::span<const TokenId> tokens);

// The text of the word number `word` with its leading space: four bytes. Precondition: word < kWords.
std::string_view spaced_word(uint32_t word);

}  // namespace kvasir

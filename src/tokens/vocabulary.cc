#include "tokens/vocabulary.h"

#include <array>

#include "base/assert.h"

namespace kvasir {
namespace {

constexpr int kWordBytes = 4;  // with the leading space
constexpr uint16_t kNoLetter = 0x8000;

// What each byte adds to a word's number as its first, second and third letter. The values share no
// bits, so that the OR of three letters is the word's number, or has kNoLetter set.
struct Letters {
  std::array<uint16_t, 256> first{};
  std::array<uint16_t, 256> vowel{};
  std::array<uint16_t, 256> last{};
};

constexpr size_t byte_of(char letter) {
  return static_cast<unsigned char>(letter);
}

constexpr Letters make_letters() {
  Letters letters;
  for (size_t i = 0; i < 256; ++i) {
    letters.first[i] = letters.vowel[i] = letters.last[i] = kNoLetter;
  }
  for (size_t i = 0; i < kConsonants.size(); ++i) {
    letters.first[byte_of(kConsonants[i])] = static_cast<uint16_t>(i << 6);
    letters.last[byte_of(kConsonants[i])] = static_cast<uint16_t>(i);
  }
  for (size_t i = 0; i < kVowels.size(); ++i) {
    letters.vowel[byte_of(kVowels[i])] = static_cast<uint16_t>(i << 4);
  }
  return letters;
}

constexpr std::array<char, kWords * kWordBytes> make_words() {
  std::array<char, kWords * kWordBytes> words{};
  for (size_t word = 0; word < kWords; ++word) {
    words[word * kWordBytes] = ' ';
    words[word * kWordBytes + 1] = kConsonants[word >> 6];
    words[word * kWordBytes + 2] = kVowels[(word >> 4) & 3];
    words[word * kWordBytes + 3] = kConsonants[word & 15];
  }
  return words;
}

constexpr Letters kLetters = make_letters();
constexpr std::array<char, kWords* kWordBytes> kWordTexts = make_words();

// The number of the three-letter word at `text`, or a number with kNoLetter set.
uint16_t word_at(const unsigned char* text) {
  return kLetters.first[text[0]] | kLetters.vowel[text[1]] | kLetters.last[text[2]];
}

template <class Emit>
void for_each_token(std::string_view text, Emit&& emit) {
  const auto* at = reinterpret_cast<const unsigned char*>(text.data());
  const auto* const end = at + text.size();
  while (end - at >= kWordBytes) {
    const bool spaced = *at == ' ';
    const uint16_t word = word_at(at + spaced);
    if (word & kNoLetter) {
      emit(TokenId{*at++});
    } else {
      emit((spaced ? kFirstSpacedWord : kFirstBareWord) + word);
      at += spaced ? 4 : 3;
    }
  }
  if (end - at == 3 && !(word_at(at) & kNoLetter)) {
    emit(kFirstBareWord + word_at(at));
    at = end;
  }
  while (at != end) emit(TokenId{*at++});
}

}  // namespace

std::vector<TokenId> encode(std::string_view text) {
  std::vector<TokenId> tokens;
  tokens.reserve(text.size() / kWordBytes + kWordBytes);
  std::array<TokenId, 1024> made;  // a push_back for each token would take longer than finding it
  size_t count = 0;
  for_each_token(text, [&](TokenId token) {
    made[count++] = token;
    if (count < made.size()) return;
    tokens.insert(tokens.end(), made.begin(), made.end());
    count = 0;
  });
  tokens.insert(tokens.end(), made.begin(), made.begin() + count);
  return tokens;
}

void append_token_text(TokenId token, std::string& text) {
  KVASIR_ASSERT(token < kVocabularySize, "a token of the vocabulary");
  if (token < kByteTokens) {
    text.push_back(static_cast<char>(token));
  } else if (token < kFirstBareWord) {
    text.append(spaced_word(token - kFirstSpacedWord));
  } else if (token < kEndOfSequence) {
    text.append(spaced_word(token - kFirstBareWord).substr(1));
  }
}

std::string decode(std::span<const TokenId> tokens) {
  std::string text;
  text.reserve(tokens.size() * kWordBytes);
  for (const TokenId token : tokens) append_token_text(token, text);
  return text;
}

std::string_view spaced_word(uint32_t word) {
  KVASIR_ASSERT(word < kWords, "a word of the vocabulary");
  return std::string_view(kWordTexts.data() + word * kWordBytes, kWordBytes);
}

}  // namespace kvasir

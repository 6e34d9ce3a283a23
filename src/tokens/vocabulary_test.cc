#include "tokens/vocabulary.h"

#include <gtest/gtest.h>

#include <set>

#include "base/random.h"

namespace kvasir {
namespace {

TokenId spaced(uint32_t word) {
  return kFirstSpacedWord + word;
}
TokenId bare(uint32_t word) {
  return kFirstBareWord + word;
}

// The definition of the tokenizer, word by word: slow, and the judge of encode().
std::vector<TokenId> encode_naively(std::string_view text) {
  std::vector<TokenId> tokens;
  while (!text.empty()) {
    TokenId token = static_cast<unsigned char>(text[0]);
    size_t length = 1;
    for (uint32_t word = 0; word < kWords; ++word) {
      if (text.substr(0, 4) == spaced_word(word)) {
        token = spaced(word);
        length = 4;
      } else if (text.substr(0, 3) == spaced_word(word).substr(1)) {
        token = bare(word);
        length = 3;
      }
    }
    tokens.push_back(token);
    text.remove_prefix(length);
  }
  return tokens;
}

std::string random_text(Random& random) {
  static constexpr std::string_view kAlphabet = "  bdtaoexyz\n\xc3\xa9";
  std::string text;
  for (uint64_t pieces = random.below(30); pieces > 0; --pieces) {
    switch (random.below(3)) {
      case 0:
        text += spaced_word(static_cast<uint32_t>(random.below(kWords)));
        break;
      case 1:
        text += kAlphabet[random.below(kAlphabet.size())];
        break;
      default:
        text += static_cast<char>(random.below(256));
        break;
    }
  }
  return text;
}

TEST(Vocabulary, SpacedWordsAreDistinctAndInOrder) {
  std::set<std::string_view> words;
  for (uint32_t word = 0; word < kWords; ++word) words.insert(spaced_word(word));
  EXPECT_EQ(words.size(), kWords);
  EXPECT_EQ(spaced_word(0), " bab");
  EXPECT_EQ(spaced_word(1), " bac");
  EXPECT_EQ(spaced_word(16), " beb");
  EXPECT_EQ(spaced_word(64), " cab");
  EXPECT_EQ(spaced_word(kWords - 1), " vov");
}

TEST(Vocabulary, TextBecomesTokensByLongestMatchFromTheLeft) {
  const struct {
    std::string text;
    std::vector<TokenId> tokens;
  } cases[] = {
      {"", {}},
      {" ", {' '}},
      {" bab", {spaced(0)}},
      {"bab", {bare(0)}},
      {" ba", {' ', 'b', 'a'}},
      {"  bab", {' ', spaced(0)}},
      {" babb", {spaced(0), 'b'}},
      {"babbab", {bare(0), bare(0)}},
      {"bbab", {'b', bare(0)}},
      {"babab", {bare(0), 'a', 'b'}},
      {"bab bab", {bare(0), spaced(0)}},
      {" babvov", {spaced(0), bare(kWords - 1)}},
      {" BAB", {' ', 'B', 'A', 'B'}},
      {std::string("\0\xff", 2), {0, 255}},
  };
  for (const auto& test : cases) EXPECT_EQ(encode(test.text), test.tokens) << test.text;
}

TEST(Vocabulary, AgreesWithTheNaiveEncoder) {
  Random random(1);
  for (int i = 0; i < 300; ++i) {
    const std::string text = random_text(random);
    const std::vector<TokenId> tokens = encode(text);
    ASSERT_EQ(tokens, encode_naively(text)) << text;
    ASSERT_EQ(decode(tokens), text);
  }
}

TEST(Vocabulary, EveryTokenButTheLastSurvivesTheRoundTrip) {
  for (TokenId token = 0; token < kEndOfSequence; ++token) {
    const TokenId tokens[] = {token};
    ASSERT_EQ(encode(decode(tokens)), std::vector<TokenId>{token});
  }
}

TEST(Vocabulary, EndOfSequenceHasNoTextAndNoTextHoldsIt) {
  const TokenId tokens[] = {kFirstSpacedWord, kEndOfSequence};
  EXPECT_EQ(decode(tokens), " bab");
  for (const TokenId token : encode(kEndOfSequenceText)) EXPECT_NE(token, kEndOfSequence);
}

TEST(Vocabulary, RunsOfWordsHaveOneTokenForFourBytes) {
  Random random(2);
  std::string text;
  for (int i = 0; i < 10000; ++i) text += spaced_word(static_cast<uint32_t>(random.below(kWords)));
  EXPECT_EQ(encode(text).size(), 10000u);
}

TEST(VocabularyDeathTest, TokensBeyondTheVocabularyAreRefused) {
  std::string text;
  EXPECT_DEATH(append_token_text(kVocabularySize, text), "a token of the vocabulary");
}

}  // namespace
}  // namespace kvasir

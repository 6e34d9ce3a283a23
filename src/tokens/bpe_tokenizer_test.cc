#include "tokens/bpe_tokenizer.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>
#include <thread>

#include "base/random.h"
#include "base/text.h"
#include "base/whole_file.h"
#include "tokens/byte_alphabet.h"
#include "tokens/tokenizer_json.h"
#include "tokens/utf8.h"
#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;
using Ids = std::vector<uint32_t>;

std::unique_ptr<BpeTokenizer> loaded(const Json& file) {
  auto tokenizer = BpeTokenizer::load(file.dump());
  EXPECT_TRUE(tokenizer.ok()) << (tokenizer.ok() ? "" : tokenizer.error().message);
  return tokenizer.ok() ? std::move(tokenizer).value() : nullptr;
}

Ids ids_of(const BpeTokenizer& tokenizer, std::string_view text, bool special = true) {
  Ids ids;
  EXPECT_TRUE(tokenizer.encode(text, ids, special));
  return ids;
}

std::string from_hex(const std::string& digits) {
  std::string bytes;
  for (size_t i = 0; i + 1 < digits.size(); i += 2) {
    bytes += static_cast<char>(hex_value(digits[i]) << 4 | hex_value(digits[i + 1]));
  }
  return bytes;
}

std::string joined(const Ids& ids) {
  std::string text;
  for (const uint32_t id : ids) text.append(text.empty() ? "" : " ").append(std::to_string(id));
  return text;
}

// Ids that the tokenizers library gave (tests/tokenizer/make_fixture.py).
TEST(BpeTokenizer, GivesTheLibrarysIds) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  if (root == nullptr) GTEST_SKIP() << "KVASIR_SOURCE_DIR is not set: run it with ctest";
  const auto text = read_whole_file(std::string(root) + "/tests/tokenizer/fixture.json", 1 << 20);
  ASSERT_TRUE(text.ok()) << text.error().message;
  const Json fixture = Json::parse(text.value());
  ASSERT_GT(fixture["configurations"].size(), 10u);
  for (const Json& configuration : fixture["configurations"]) {
    const std::string name = configuration["name"];
    Json file = {{"model", fixture["model"]}};
    file["model"].update(configuration["model"]);
    for (const char* part : {"normalizer", "pre_tokenizer", "added_tokens", "post_processor"}) {
      file[part] = configuration[part];
    }
    const auto tokenizer = loaded(file);
    ASSERT_NE(tokenizer, nullptr) << name;
    for (size_t i = 0; i < fixture["texts"].size(); ++i) {
      const std::string bytes = from_hex(fixture["texts"][i]);
      // Twice: the second time its words are remembered.
      for (int round = 0; round < 2; ++round) {
        EXPECT_EQ(joined(ids_of(*tokenizer, bytes)), configuration["ids"][i])
            << name << ", text " << i << ": " << bytes;
      }
    }
  }
}

std::string letter(int byte) {
  std::string text;
  append_code_point(kByteAlphabet.letter(static_cast<uint8_t>(byte)), text);
  return text;
}

// All bytes, and some merges that are drawn.
Json random_file(Random& random, size_t merges) {
  Json vocabulary = Json::object();
  std::vector<std::string> tokens;
  const auto add = [&](const std::string& text) {
    if (vocabulary.contains(text)) return false;
    vocabulary[text] = tokens.size();
    tokens.push_back(text);
    return true;
  };
  for (int byte = 0; byte < 256; ++byte) add(letter(byte));
  Json list = Json::array();
  while (list.size() < merges) {
    // Few letters, so that much is merged.
    const auto pick = [&] {
      return random.below(3) == 0 || tokens.size() == 256
                 ? letter('a' + static_cast<int>(random.below(3)))
                 : tokens[256 + random.below(tokens.size() - 256)];
    };
    const std::string left = pick();
    const std::string right = pick();
    add(left + right);
    list.push_back({left, right});
  }
  return {{"model", {{"type", "BPE"}, {"vocab", vocabulary}, {"merges", list}}},
          {"pre_tokenizer",
           {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", false}}}};
}

// The definition: of all pairs the one whose merge is the earliest, the leftmost of equal ones.
Ids merged_naively(const Json& file, std::string_view text) {
  std::vector<std::string> parts;
  for (const char c : text) parts.push_back(letter(static_cast<uint8_t>(c)));
  std::map<std::pair<std::string, std::string>, size_t> ranks;
  for (size_t i = 0; i < file["model"]["merges"].size(); ++i) {
    ranks[{file["model"]["merges"][i][0], file["model"]["merges"][i][1]}] = i;
  }
  for (;;) {
    size_t best = parts.size();
    size_t best_rank = SIZE_MAX;
    for (size_t i = 0; i + 1 < parts.size(); ++i) {
      const auto found = ranks.find({parts[i], parts[i + 1]});
      if (found == ranks.end() || found->second >= best_rank) continue;
      best = i;
      best_rank = found->second;
    }
    if (best_rank == SIZE_MAX) break;
    parts[best] += parts[best + 1];
    parts.erase(parts.begin() + static_cast<ptrdiff_t>(best) + 1);
  }
  Ids ids;
  for (const std::string& part : parts) ids.push_back(file["model"]["vocab"][part]);
  return ids;
}

TEST(BpeTokenizer, MergesWordsOfAnyLengthByTheirRanks) {
  Random random(3);
  for (int round = 0; round < 20; ++round) {
    const Json file = random_file(random, 1 + random.below(60));
    const auto tokenizer = loaded(file);
    ASSERT_NE(tokenizer, nullptr);
    for (const size_t size : {1, 2, 3, 7, 8, 9, 16, 17, 31, 32, 33, 47, 48, 49, 200, 700}) {
      std::string text;
      while (text.size() < size) text += static_cast<char>('a' + random.below(3));
      EXPECT_EQ(ids_of(*tokenizer, text), merged_naively(file, text)) << text;
      EXPECT_EQ(tokenizer->decode(ids_of(*tokenizer, text)), text);
    }
  }
}

// The words of the simulated vocabulary are added tokens, thousands of them.
TEST(BpeTokenizer, ReadsTheFileOfTheSimulatedVocabulary) {
  const auto tokenizer = BpeTokenizer::load(tokenizer_json());
  ASSERT_TRUE(tokenizer.ok()) << tokenizer.error().message;
  EXPECT_EQ(tokenizer.value()->vocabulary_size(), kVocabularySize);
  const std::string text = "bab bac  vov, \xc3\xa9t\xc3\xa9 babac cabin\n";
  EXPECT_EQ(ids_of(*tokenizer.value(), text), encode(text));
}

TEST(BpeTokenizer, EveryByteStringComesBack) {
  Random random(4);
  const auto tokenizer = loaded(random_file(random, 40));
  ASSERT_NE(tokenizer, nullptr);
  for (int round = 0; round < 200; ++round) {
    std::string text;
    for (uint64_t rest = random.below(60); rest > 0; --rest) {
      append_code_point(static_cast<uint32_t>(random.below(0xd800)), text);
    }
    EXPECT_EQ(tokenizer->decode(ids_of(*tokenizer, text)), text);
  }
}

TEST(BpeTokenizer, ServesSeveralThreadsAtOnce) {
  Random random(5);
  const auto tokenizer = loaded(random_file(random, 50));
  ASSERT_NE(tokenizer, nullptr);
  const std::string text = "abcabacbabcbabacbacabbcaabcabcbabcbac";
  const Ids expected = ids_of(*tokenizer, text);
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      for (int round = 0; round < 200; ++round) EXPECT_EQ(ids_of(*tokenizer, text), expected);
    });
  }
  for (std::thread& thread : threads) thread.join();
}

TEST(BpeTokenizer, TextsBeyondTheLimitAreRefused) {
  Random random(6);
  TokenizerLimits limits;
  limits.text_bytes = 10;
  const auto tokenizer = BpeTokenizer::load(random_file(random, 1).dump(), limits);
  ASSERT_TRUE(tokenizer.ok());
  Ids ids = {7};
  EXPECT_TRUE(tokenizer.value()->encode("aaaaaaaaaa", ids, false));
  EXPECT_GT(ids.size(), 1u);
  ids = {7};
  EXPECT_FALSE(tokenizer.value()->encode("aaaaaaaaaaa", ids, false));
  EXPECT_EQ(ids, Ids{7});
}

}  // namespace
}  // namespace kvasir

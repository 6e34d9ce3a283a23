#include "tokens/tokenizer_json.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <set>

#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;

TEST(TokenizerJson, NumbersEveryTokenOnce) {
  const Json tokenizer = Json::parse(tokenizer_json());
  std::set<uint32_t> ids;
  for (const auto& entry : tokenizer["model"]["vocab"].items()) {
    ids.insert(entry.value().get<uint32_t>());
  }
  EXPECT_EQ(ids.size(), kByteTokens);
  for (const Json& token : tokenizer["added_tokens"]) ids.insert(token["id"].get<uint32_t>());
  EXPECT_EQ(ids.size(), kVocabularySize);
  EXPECT_EQ(*ids.rbegin(), kEndOfSequence);
}

TEST(TokenizerJson, BytesUseTheByteLevelAlphabet) {
  const Json tokenizer = Json::parse(tokenizer_json());
  const Json& vocabulary = tokenizer["model"]["vocab"];
  EXPECT_EQ(vocabulary["a"], 'a');
  EXPECT_EQ(vocabulary["\u0120"], ' ');
  EXPECT_EQ(vocabulary["\u010a"], '\n');
  EXPECT_EQ(vocabulary["\u00e9"], 0xe9);
  EXPECT_EQ(vocabulary["\u0143"], 0xad);
}

TEST(TokenizerJson, OnlyTheEndOfSequenceIsSpecial) {
  const Json tokenizer = Json::parse(tokenizer_json());
  for (const Json& token : tokenizer["added_tokens"]) {
    EXPECT_EQ(token["special"], token["id"] == kEndOfSequence);
    EXPECT_EQ(token["normalized"], false);
  }
}

TEST(TokenizerJson, WritesBothFilesIntoANewFolder) {
  const std::filesystem::path folder =
      std::filesystem::path(testing::TempDir()) / "tokenizer_json_test" / "new";
  std::filesystem::remove_all(folder);
  ASSERT_TRUE(write_tokenizer(folder.string()).ok());
  std::ifstream config(folder / "tokenizer_config.json");
  EXPECT_EQ(Json::parse(config)["eos_token"], std::string(kEndOfSequenceText));
  EXPECT_EQ(std::filesystem::file_size(folder / "tokenizer.json"), tokenizer_json().size());
}

TEST(TokenizerJson, SaysWhereItCannotWrite) {
  const auto done = write_tokenizer("/dev/null/tokenizer");
  ASSERT_FALSE(done.ok());
  EXPECT_NE(done.error().message.find("/dev/null/tokenizer"), std::string::npos);
}

}  // namespace
}  // namespace kvasir

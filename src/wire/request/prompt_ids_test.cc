#include "wire/request/prompt_ids.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>

#include "base/random.h"

namespace kvasir {
namespace {

using Ids = std::vector<uint32_t>;
constexpr size_t kMany = 1000;

TEST(PromptIdsReading, OneListOfIdsIsAPrompt) {
  const struct {
    std::string json;
    Ids ids;
  } cases[] = {
      {"[]", {}},
      {" [ ] ", {}},
      {"[0]", {0}},
      {"[1,2,3]", {1, 2, 3}},
      {"[1, 22, 333, 4444, 55555, 666666, 7777777]", {1, 22, 333, 4444, 55555, 666666, 7777777}},
      {"[\n  1 ,\n\t2\r\n]", {1, 2}},
      {"[12345678,123456789,4294967295]", {12345678, 123456789, 4294967295}},
      {"[[5,6]]", {5, 6}},
      {"[ [ 5 , 6 ] ]", {5, 6}},
  };
  for (const auto& test : cases) {
    Ids ids = {99};
    EXPECT_EQ(read_prompt_ids(test.json, kMany, ids), PromptIds::kOne) << test.json;
    EXPECT_EQ(ids, test.ids) << test.json;
  }
}

TEST(PromptIdsReading, WhatIsNoIdIsNoPrompt) {
  for (const std::string json : {"",
                                 "[",
                                 "[1",
                                 "[1,",
                                 "[1,]",
                                 "[,1]",
                                 "1,2]",
                                 "[1 2]",
                                 "[1,,2]",
                                 "[-1]",
                                 "[1.0]",
                                 "[1e3]",
                                 "[01]",
                                 "[00]",
                                 "[1,\"2\"]",
                                 "[true]",
                                 "[null]",
                                 "[1]]",
                                 "[1] x",
                                 "[4294967296]",
                                 "[99999999999]",
                                 "[123456789012345678901234567890]",
                                 "[[1,2]",
                                 "[[1],2",
                                 "[[1] 2]",
                                 "[1,[2]]",
                                 "[1;2,3,4,5,6,7]",
                                 "[12345678x]",
                                 "[1/2]",
                                 "[1:2]"}) {
    Ids ids;
    EXPECT_EQ(read_prompt_ids(json, kMany, ids) == PromptIds::kOne, false) << json;
  }
}

TEST(PromptIdsReading, SeveralListsAreSeveralPrompts) {
  Ids ids;
  EXPECT_EQ(read_prompt_ids("[[1,2],[3]]", kMany, ids), PromptIds::kSeveral);
}

TEST(PromptIdsReading, AllIdsComeBackHoweverTheyAreSpaced) {
  Random random(1);
  for (int round = 0; round < 300; ++round) {
    Ids expected;
    std::string json = "[";
    for (uint64_t rest = random.below(60); rest > 0; --rest) {
      expected.push_back(
          static_cast<uint32_t>(random.below(uint64_t{1} << (1 + random.below(32)))));
      json.append(json.size() == 1 ? "" : random.below(2) == 0 ? "," : ", ");
      json.append(random.below(9), ' ').append(std::to_string(expected.back()));
    }
    json.append(random.below(9), '\n').append("]");
    Ids ids;
    ASSERT_EQ(read_prompt_ids(json, kMany, ids), PromptIds::kOne) << json;
    ASSERT_EQ(ids, expected) << json;
  }
}

std::string long_list(Random& random, std::string_view comma) {
  std::string json = "[";
  for (int i = 0; i < 200; ++i) {
    json.append(i == 0 ? "" : comma);
    json += std::to_string(random.below(uint64_t{1} << (1 + random.below(27))));
  }
  return json + "]";
}

// Against a reader of JSON: most are still lists, of other numbers.
TEST(PromptIdsReading, AnotherByteAnywhereInALongListIsSeen) {
  Random random(2);
  size_t lists = 0;
  for (int round = 0; round < 20'000; ++round) {
    std::string json = long_list(random, random.below(2) == 0 ? "," : ", ");
    for (uint64_t changes = random.below(3); changes > 0; --changes) {
      constexpr std::string_view kBytes = "0019, -x.]\n";
      json[1 + random.below(json.size() - 2)] = kBytes[random.below(kBytes.size())];
    }
    const auto expected = nlohmann::json::parse(json, nullptr, false);
    const bool is_list =
        !expected.is_discarded() &&
        std::all_of(expected.begin(), expected.end(), [](const auto& id) {
          return id.is_number_unsigned() && id.template get<uint64_t>() <= UINT32_MAX;
        });
    Ids ids;
    ASSERT_EQ(read_prompt_ids(json, kMany, ids) == PromptIds::kOne, is_list) << json;
    if (!is_list) continue;
    ++lists;
    ASSERT_EQ(ids, expected.get<Ids>()) << json;
  }
  EXPECT_GT(lists, 5'000u);
  EXPECT_LT(lists, 19'000u);
}

TEST(PromptIdsReading, RoomThatIsThereIsUsed) {
  Random random(3);
  const std::string json = long_list(random, ",");
  Ids ids;
  ids.reserve(200);
  const uint32_t* const room = ids.data();
  EXPECT_EQ(read_prompt_ids(json, kMany, ids), PromptIds::kOne);
  EXPECT_EQ(ids.data(), room);
  EXPECT_EQ(ids.size(), 200u);
  EXPECT_EQ(read_prompt_ids(json, 200, ids), PromptIds::kOne);
  EXPECT_EQ(read_prompt_ids(json, 199, ids), PromptIds::kNone);
}

TEST(PromptIdsReading, MoreIdsThanTheLimitAreNone) {
  Ids ids;
  EXPECT_EQ(read_prompt_ids("[1,2,3]", 3, ids), PromptIds::kOne);
  EXPECT_EQ(read_prompt_ids("[1,2,3,4]", 3, ids), PromptIds::kNone);
  EXPECT_EQ(read_packed_ids("\x01\x02\x03", 3, ids), PromptIds::kOne);
  EXPECT_EQ(read_packed_ids("\x01\x02\x03\x04", 3, ids), PromptIds::kNone);
}

TEST(PromptIdsReading, VarintsAreIds) {
  const struct {
    std::string bytes;
    std::string ids;  // empty: none
  } cases[] = {
      {std::string("\0", 1), "0"},      {"\x01\x7f", "1 127"},
      {"\x80\x01\xac\x02", "128 300"},  {"\xff\xff\xff\xff\x0f", "4294967295"},
      {"\xff\xff\xff\xff\x1f", ""},     {"\x80", ""},
      {"\x80\x80\x80\x80\x80\x01", ""},
  };
  for (const auto& test : cases) {
    Ids ids;
    const bool is_prompt = read_packed_ids(test.bytes, kMany, ids) == PromptIds::kOne;
    std::string seen;
    for (const uint32_t id : ids) seen.append(seen.empty() ? "" : " ").append(std::to_string(id));
    EXPECT_EQ(is_prompt ? seen : "", test.ids);
  }
}

}  // namespace
}  // namespace kvasir

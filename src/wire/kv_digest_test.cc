#include "wire/kv_digest.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(KvDigest, DigestsAreReadAsTheyWereWritten) {
  const KvDigests pods = {{"pod \"1\"", {0xfedcba9876543210, 3, 1764240000.25}}, {"b", {1, 0, 0}}};
  const Result<KvDigests> read = read_kv_digests(write_kv_digests(pods));
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(*read, pods);
  EXPECT_EQ(write_kv_digests({}), "{\"pods\":{}}\n");
}

TEST(KvDigest, WhatIsNoAnswerIsAnErrorThatSaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {"", "not a JSON object"},
      {"[]", "not a JSON object"},
      {"{}", "no \"pods\""},
      {R"({"pods":{"a":3}})", "pod \"a\": not an object"},
      {R"({"pods":{"a":{}}})", "pod \"a\": no \"digest\""},
      {R"({"pods":{"a":{"digest":"12"}}})", "pod \"a\": not 16 hexadecimal digits"},
      {R"({"pods":{"a":{"digest":"000000000000000g"}}})", "pod \"a\": not 16 hexadecimal digits"},
      {R"({"pods":{"a":{"digest":"0000000000000000","blocks":-1}}})", "pod \"a\": no \"blocks\""},
      {R"({"pods":{"a":{"digest":"0000000000000000","blocks":1}}})", "pod \"a\": no \"stamp\""},
  };
  for (const auto& [text, error] : cases) {
    const Result<KvDigests> read = read_kv_digests(text);
    ASSERT_FALSE(read) << text;
    EXPECT_EQ(read.error().message, error) << text;
  }
}

}  // namespace
}  // namespace kvasir

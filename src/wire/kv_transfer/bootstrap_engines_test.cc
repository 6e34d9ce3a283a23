#include "wire/kv_transfer/bootstrap_engines.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(BootstrapEngines, EachRankHasItsEngine) {
  const auto engines = read_bootstrap_engines(
                           " {\"0\": {\"engine_id\":\"a\\u0062\",\"x\":[1]},\n"
                           "\"3\":{\"worker\":{\"engine_id\":\"no\"},\"engine_id\":\"c\"}} \n")
                           .value();
  ASSERT_EQ(engines.size(), 2u);
  EXPECT_EQ(engines[0].id, "ab");
  EXPECT_EQ(engines[0].rank, 0u);
  EXPECT_EQ(engines[1].id, "c");
  EXPECT_EQ(engines[1].rank, 3u);
}

TEST(BootstrapEngines, WhatIsNoneIsNamed) {
  for (const char* answer : {"", "[]", "null", "{", "{\"0\":{\"engine_id\":\"a\"}", "{}",
                             "{\"zero\":{\"engine_id\":\"a\"}}", "{\"0\":{\"engine_id\":1}}",
                             "{\"0\":{\"engine_id\":\"\"}}", "{\"0\":\"a\"}", "{\"0\":{}}",
                             "{\"-1\":{\"engine_id\":\"a\"}}"}) {
    const auto engines = read_bootstrap_engines(answer);
    ASSERT_FALSE(engines) << answer;
    EXPECT_THAT(engines.error().message, ::testing::HasSubstr("the bootstrap server")) << answer;
  }
}

}  // namespace
}  // namespace kvasir

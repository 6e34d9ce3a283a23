#include "apps/route_pools.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

TEST(PoolConfigFiles, EachNamesItsPool) {
  const auto files = read_pool_configs({"models/vllm=a=b.yaml", "models/small.v2=/etc/x.yaml"});
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(*files, (PoolConfigFiles{{{"models", "vllm"}, "a=b.yaml"},
                                     {{"models", "small.v2"}, "/etc/x.yaml"}}));
  EXPECT_TRUE(read_pool_configs({}).value().empty());
}

TEST(PoolConfigFiles, WhatNamesNoPoolOrNoFileIsRefused) {
  for (const char* text : {"", "vllm=x.yaml", "models/vllm", "models/vllm=", "/vllm=x.yaml",
                           "models/=x.yaml", "Models/vllm=x.yaml", "a=b/c", "a.b/c=x.yaml"}) {
    const auto files = read_pool_configs({text});
    ASSERT_FALSE(files.ok()) << text;
    EXPECT_THAT(files.error().message, HasSubstr("is not NAMESPACE/NAME=FILE")) << text;
  }
  EXPECT_THAT(read_pool_configs({"a/b=x", "a/b=y"}).error().message,
              HasSubstr("--pool-config: a/b is named twice"));
}

}  // namespace
}  // namespace kvasir

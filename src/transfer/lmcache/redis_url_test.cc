#include "transfer/lmcache/redis_url.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(RedisUrl, SaysWhereARedisIs) {
  const auto plain = parse_redis_url("redis://cache");
  ASSERT_TRUE(plain);
  EXPECT_EQ(plain->public_text(), "cache:6379/0");
  EXPECT_EQ(plain->user + plain->password, "");

  const auto full = parse_redis_url("redis://me:p%40ss%3a:@10.0.0.1:7000/3");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->user, "me");
  EXPECT_EQ(full->password, "p@ss::");
  EXPECT_EQ(full->public_text(), "10.0.0.1:7000/3");

  EXPECT_EQ(parse_redis_url("redis://:secret@[::1]:7/")->public_text(), "[::1]:7/0");
  EXPECT_EQ(parse_redis_url("redis://:secret@h")->password, "secret");
  EXPECT_EQ(parse_redis_url("redis://:a@b@h")->password, "a@b");
}

TEST(RedisUrl, WhatIsNoneIsRefusedAndNotRepeated) {
  for (const char* url : {"",
                          "cache:6379",
                          "http://h",
                          "rediss://h",
                          "lm://h:1",
                          "redis://",
                          "redis://:1",
                          "redis://h:",
                          "redis://h:0",
                          "redis://h:70000",
                          "redis://h:x",
                          "redis://h/x",
                          "redis://h/-1",
                          "redis://[::1",
                          "redis://[::1]x",
                          "redis://secret@h",
                          "redis://me:secret%4@h",
                          "redis://me:secret%zz@h",
                          "redis://me:secret@",
                          "redis://me:secret@h h",
                          "redis://me:secret@h/secret"}) {
    const auto parsed = parse_redis_url(url);
    ASSERT_FALSE(parsed) << url;
    EXPECT_EQ(parsed.error().message.find("secret"), std::string::npos);
  }
}

}  // namespace
}  // namespace kvasir

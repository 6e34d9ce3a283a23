#include "apps/header_route_flag.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr;

TEST(HeaderRouteFlag, NamesAHeaderAValueAndAnAddress) {
  const auto routes =
      read_header_routes({"X-KV-Backend=nvlink=http://127.0.0.1:9001",
                          "x-kv-backend=fs=http://[::1]:9002", "x-tenant=a=b=http://proxy:80"})
          .value();
  ASSERT_EQ(routes.size(), 3u);
  EXPECT_EQ(routes[0].header, "x-kv-backend");
  EXPECT_EQ(routes[0].value, "nvlink");
  EXPECT_EQ(to_string(routes[0].to), "127.0.0.1:9001");
  EXPECT_EQ(to_string(routes[1].to), "[::1]:9002");
  EXPECT_EQ(routes[2].value, "a=b");
  EXPECT_EQ(to_string(routes[2].to), "proxy:80");
  EXPECT_TRUE(read_header_routes({}).value().empty());
}

TEST(HeaderRouteFlag, WhatIsNoRouteIsRefusedByTheFlagsName) {
  for (const char* text :
       {"", "=", "x", "x=y", "x=http://h:1", "x==http://h:1", "=v=http://h:1", "x y=v=http://h:1",
        "x=v=https://h:1", "x=v=http://", "x=v=http://h:0", "x=v=http://h:1/path", "x=v=ftp://h:1",
        "host=v=http://h:1", "Content-Length=7=http://h:1"}) {
    const auto routes = read_header_routes({text});
    ASSERT_FALSE(routes) << text;
    EXPECT_THAT(routes.error().message, HasSubstr("--header-route: '")) << text;
    EXPECT_THAT(routes.error().message, HasSubstr("NAME=VALUE=URL")) << text;
  }
  EXPECT_THAT(read_header_routes({"a=b=http://h:1", "A=b=http://h:2"}).error().message,
              HasSubstr("a=b is named twice"));
}

}  // namespace
}  // namespace kvasir

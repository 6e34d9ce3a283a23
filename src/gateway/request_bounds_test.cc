#include "gateway/request_bounds.h"

#include <gtest/gtest.h>

#include "gateway/gateway_options.h"
#include "net/http/http_head.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

HttpHead head_with(std::string_view name, std::string_view value) {
  HttpHead head;
  head.add_field(name, value);
  return head;
}

TEST(RequestBounds, WithoutHeadersTheyAreTheOptions) {
  GatewayOptions options;
  options.request_timeout = seconds(7);
  const RequestBounds bounds = request_bounds(HttpHead(), options).value();
  EXPECT_EQ(bounds.attempts_max, options.attempts_max);
  EXPECT_EQ(bounds.timeout, seconds(7));
}

TEST(RequestBounds, RetriesLowerTheAttemptsAndNeverRaiseThem) {
  const std::pair<const char*, uint32_t> cases[] = {
      {"0", 1}, {"1", 2}, {"3", 4}, {"4", 4}, {"4294967295", 4}, {"99999999999999999999", 4}};
  for (const auto& [text, attempts] : cases) {
    const auto bounds = request_bounds(head_with("X-Max-Retries", text), {});
    EXPECT_EQ(bounds.value().attempts_max, attempts) << text;
  }
}

TEST(RequestBounds, ATimeoutIsSecondsOrHasAUnit) {
  const std::pair<const char*, Duration> cases[] = {{"30s", seconds(30)},
                                                    {"500ms", milliseconds(500)},
                                                    {"30", seconds(30)},
                                                    {"0.25", milliseconds(250)},
                                                    {"1m30s", seconds(90)}};
  for (const auto& [text, timeout] : cases) {
    const auto bounds = request_bounds(head_with("x-request-timeout", text), {});
    EXPECT_EQ(bounds.value().timeout, timeout) << text;
  }
}

TEST(RequestBounds, ATimeoutIsBoundedByTheFlags) {
  const auto bounded = [](Duration own, Duration most) {
    GatewayOptions options;
    options.request_timeout = own;
    options.request_timeout_max = most;
    return request_bounds(head_with("x-request-timeout", "1m"), options).value().timeout;
  };
  EXPECT_EQ(bounded({}, {}), minutes(1));
  EXPECT_EQ(bounded(seconds(5), {}), seconds(5)) << "a client cannot lift the only limit";
  EXPECT_EQ(bounded(seconds(5), seconds(20)), seconds(20));
  EXPECT_EQ(bounded({}, seconds(20)), seconds(20));
  EXPECT_EQ(bounded(minutes(2), minutes(3)), minutes(1));
}

TEST(RequestBounds, WhatCannotBeReadIsRefused) {
  for (const char* text : {"", "-1", "+1", "1.5", "three", "3 ", "0x3", "3,4"}) {
    const auto bounds = request_bounds(head_with("x-max-retries", text), {});
    ASSERT_FALSE(bounds) << text;
    EXPECT_NE(bounds.error().message.find("x-max-retries: "), std::string::npos);
  }
  for (const char* text : {"", "0", "0s", "-1s", "s", "30 s", "30x", "1e9", "99999999999h", ".",
                           "111111111111111111111111111111111"}) {
    const auto bounds = request_bounds(head_with("x-request-timeout", text), {});
    ASSERT_FALSE(bounds) << text;
    EXPECT_NE(bounds.error().message.find("x-request-timeout: "), std::string::npos);
  }
}

}  // namespace
}  // namespace kvasir

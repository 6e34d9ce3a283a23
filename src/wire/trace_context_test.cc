#include "wire/trace_context.h"

#include <gtest/gtest.h>

#include "base/random.h"

namespace kvasir {
namespace {

constexpr std::string_view kField = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

TEST(TraceContext, TheTraceGoesOnWithASpanOfOurOwn) {
  const auto trace = read_traceparent(kField).value();
  EXPECT_EQ(traceparent(trace, 0xabc), "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000abc-01");
  EXPECT_TRUE(read_traceparent("cc-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later"));
  Random random(7);
  EXPECT_TRUE(read_traceparent(traceparent(new_trace(random), 1)));
}

TEST(TraceContext, WhatIsNoneBeginsANewOne) {
  const std::string field(kField);
  for (const std::string& none :
       {std::string(), field.substr(1), field + "0", field + "-x", "ff" + field.substr(2),
        "0g" + field.substr(2), std::string(field).replace(3, 32, 32, '0'),
        std::string(field).replace(36, 16, 16, '0'), std::string(field).replace(3, 1, "A"),
        std::string(field).replace(35, 1, "_"), field.substr(0, 54)}) {
    EXPECT_FALSE(read_traceparent(none)) << none;
  }
}

}  // namespace
}  // namespace kvasir

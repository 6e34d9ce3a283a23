#include "wire/quantity.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(ParseQuantity, ReadsKubernetesNotation) {
  const struct {
    const char* text;
    uint64_t value;
  } good[] = {{"0", 0},
              {"5000", 5000},
              {"1k", 1000},
              {"1G", 1'000'000'000},
              {"512Mi", 512u << 20},
              {"1.5Ki", 1536},
              {"1e3", 1000},
              {"2E", 2'000'000'000'000'000'000},
              {"1E3", 1000},
              {"5000m", 5},
              {"1Ti", uint64_t{1} << 40}};
  for (const auto& one : good) EXPECT_EQ(parse_quantity(one.text), one.value) << one.text;
  for (const char* bad : {"", "-1", "G", "1 G", "1GB", "1K", "1.5", "100m", "1ki", "10E", "1e99",
                          "nan", "0x10", "1..2", "+"}) {
    EXPECT_FALSE(parse_quantity(bad)) << bad;
  }
}

}  // namespace
}  // namespace kvasir

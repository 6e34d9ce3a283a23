#include "wire/ext_proc/subset_match.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

using Mode = SubsetMode;
using Subset = std::vector<std::string_view>;

// llm-d's table: how many of two pods on port 8080 are left.
TEST(SubsetMatch, UpstreamsTable) {
  const struct {
    Subset subset;
    Mode mode;
    int left;
  } cases[] = {
      {Subset({"10.0.0.1:8080"}), Mode::kAddress, 1},
      {Subset({"10.0.0.1:8080", "10.0.0.2:8080"}), Mode::kAddress, 2},
      {Subset({"10.9.9.9:8080"}), Mode::kAddress, 0},
      {Subset(), Mode::kAddress, 0},
      {Subset({"10.9.9.9:8080"}), Mode::kIgnored, 2},
      {Subset(), Mode::kIgnored, 2},
  };
  for (const auto& test : cases) {
    int left = 0;
    for (const std::string_view host : {"10.0.0.1", "10.0.0.2"}) {
      left += subset_match(test.subset, host, 8080, test.mode);
    }
    EXPECT_EQ(left, test.left) << test.subset.size();
  }
}

TEST(SubsetMatch, EntriesInEveryForm) {
  const struct {
    std::string_view entry, host;
    uint16_t port;
    bool by_address, by_port;
  } cases[] = {
      {"10.0.0.1:8000", "10.0.0.1", 8000, true, true},
      {"10.0.0.1:8000", "10.0.0.1", 8001, true, false},
      {"10.0.0.1", "10.0.0.1", 8001, true, true},
      {"10.0.0.1:", "10.0.0.1", 8001, true, true},
      {"10.0.0.1:80x", "10.0.0.1", 80, true, false},
      {"10.0.0.1:65536", "10.0.0.1", 0, true, false},
      {"10.0.0.10:8000", "10.0.0.1", 8000, false, false},
      {"[fd00::1]:8000", "fd00::1", 8000, true, true},
      {"[fd00::1]:8000", "fd00::1", 8001, true, false},
      {"[fd00::1]", "fd00::1", 8001, true, true},
      {"fd00::1", "fd00::1", 8001, true, true},
      {"fd00::1:8000", "fd00::1", 8000, true, true},
      {"[fd00::2]:8000", "fd00::1", 8000, false, false},
      {"10.0.0.2:1, 10.0.0.1:8000", "10.0.0.1", 8000, true, true},
      {"10.0.0.2:1,10.0.0.3", "10.0.0.1", 8000, false, false},
      {"", "10.0.0.1", 8000, false, false},
      {",", "", 8000, false, false},
      {":8000", "10.0.0.1", 8000, false, false},
  };
  for (const auto& test : cases) {
    const std::vector<std::string_view> entries = {"10.250.0.1:1", test.entry};
    EXPECT_EQ(subset_match(entries, test.host, test.port, Mode::kAddress), test.by_address)
        << test.entry;
    EXPECT_EQ(subset_match(entries, test.host, test.port, Mode::kPort), test.by_port) << test.entry;
  }
}

}  // namespace
}  // namespace kvasir

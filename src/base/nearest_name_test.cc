#include "base/nearest_name.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(NearestName, IsTheOneAFewLettersAway) {
  const std::vector<std::string_view> names = {"queue-scorer", "load-aware-scorer", "maxBytes",
                                               "name"};
  const struct {
    const char* wanted;
    const char* nearest;
  } cases[] = {{"quue-scorer", "queue-scorer"},
               {"QueueScorer", "queue-scorer"},
               {"max_bytes", "maxBytes"},
               {"maxbyte", "maxBytes"},
               {"nmae", "name"},
               {"something-else", ""},
               {"x", ""},
               {"", ""}};
  for (const auto& one : cases)
    EXPECT_EQ(nearest_name(one.wanted, names), one.nearest) << one.wanted;
  EXPECT_EQ(did_you_mean("nam", names), "; did you mean 'name'?");
  EXPECT_EQ(did_you_mean("zzzzzz", names), "");
}

}  // namespace
}  // namespace kvasir

#include "base/checked.h"

#include <gtest/gtest.h>

#include <memory>

namespace kvasir {
namespace {

TEST(Checked, HoldsAValueOrEveryProblemWithItsLine) {
  Checked<std::unique_ptr<int>> good(std::make_unique<int>(3));
  ASSERT_TRUE(good.ok());
  EXPECT_TRUE(good.problems().empty());
  EXPECT_EQ(*std::move(good).value(), 3);

  const std::vector<Remark> problems = {{4, "this"}, {0, "that"}};
  const Checked<int> bad(problems);
  EXPECT_FALSE(bad);
  EXPECT_EQ(bad.problems(), problems);
  EXPECT_EQ(bad.error().message, "line 4: this\nthat");
}

TEST(Checked, ErrorIsAProblemWithoutALine) {
  const Checked<int> bad(Error{"why"});
  EXPECT_EQ(bad.problems(), (std::vector<Remark>{{0, "why"}}));
}

}  // namespace
}  // namespace kvasir

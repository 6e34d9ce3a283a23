#include "kvmanager/pod_table.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TimePoint at(int seconds) {
  return TimePoint(std::chrono::seconds(seconds));
}

TEST(PodTable, APodIsThereOnceItWasHeardOrListed) {
  PodTable pods(4, 8);
  const auto listed = pods.list("a");
  ASSERT_TRUE(listed);
  EXPECT_FALSE(pods.list("a"));
  const auto seen = pods.see("b", at(1));
  EXPECT_EQ(pods.see("b", at(2))->id, seen->id);
  EXPECT_FALSE(pods.find("b"));
  EXPECT_TRUE(pods.hear(seen->id, at(3)));
  EXPECT_FALSE(pods.hear(seen->id, at(4)));
  EXPECT_EQ(pods.find("b"), seen->id);
  EXPECT_EQ(pods.all().size(), 2u);
  EXPECT_EQ(pods.pod(seen->id)->heard_at, at(4));
  EXPECT_EQ(pods.name_of(*listed), "a");
}

TEST(PodTable, TheOneHeardLongestAgoMakesRoom) {
  PodTable pods(3, 4);
  pods.list("stays");
  const EndpointId old = pods.see("old", at(1))->id;
  const EndpointId young = pods.see("young", at(2))->id;
  pods.hear(old, at(5));
  pods.hear(young, at(4));
  const auto next = pods.see("next", at(6));
  ASSERT_TRUE(next);
  EXPECT_EQ(next->made_room, young);
  EXPECT_NE(next->id, young);  // its id rests
  EXPECT_FALSE(pods.find("young"));
  EXPECT_FALSE(pods.hear(young, at(7)));
  EXPECT_EQ(pods.see("another", at(8))->id, young);  // no other is left
}

TEST(PodTable, ListedPodsAreNotPushedOut) {
  PodTable pods(1, 4);
  pods.list("stays");
  EXPECT_FALSE(pods.list("too many"));
  EXPECT_FALSE(pods.see("new", at(1)));
}

}  // namespace
}  // namespace kvasir

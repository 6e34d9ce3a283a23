#include "kvmanager/pod_table.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

TimePoint at(int seconds) {
  return TimePoint(std::chrono::seconds(seconds));
}

bool all_may_go(const KnownPod&, TimePoint) {
  return true;
}

TEST(PodTable, APodIsThereOnceItWasHeardOrListed) {
  PodTable pods(4, 8, all_may_go);
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
  PodTable pods(3, 4, all_may_go);
  pods.list("stays");
  const EndpointId old = pods.see("old", at(1))->id;
  const EndpointId young = pods.see("young", at(2))->id;
  pods.hear(old, at(5));
  pods.hear(young, at(4));
  const auto next = pods.see("next", at(6));
  ASSERT_TRUE(next);
  ASSERT_TRUE(next->made_room);
  EXPECT_EQ(next->made_room->id, young);
  EXPECT_NE(next->id, young);  // its id rests
  EXPECT_FALSE(pods.find("young"));
  EXPECT_FALSE(pods.hear(young, at(7)));
  EXPECT_EQ(pods.see("another", at(8))->id, young);  // no other is left
}

TEST(PodTable, WhoMayNotGoKeepsItsPlace) {
  std::optional<EndpointId> gone;
  int asked = 0;
  PodTable pods(2, 8, [&](const KnownPod& pod, TimePoint) {
    ++asked;
    return pod.id == gone;
  });
  const EndpointId first = pods.see("first", at(1))->id;
  const EndpointId second = pods.see("second", at(2))->id;
  for (int i = 0; i < 3000; ++i) EXPECT_FALSE(pods.see("name " + std::to_string(i), at(3)));
  EXPECT_EQ(asked, 2) << "not at each message";
  EXPECT_EQ(pods.see("first", at(3))->id, first);
  gone = second;
  EXPECT_FALSE(pods.see("third", at(3)));
  const auto third = pods.see("third", at(4));
  ASSERT_TRUE(third && third->made_room);
  EXPECT_EQ(third->made_room->id, second);
  pods.remove(first);
  EXPECT_TRUE(pods.name_of(first).empty());
  EXPECT_FALSE(pods.see("fourth", at(4))->made_room);
}

TEST(PodTable, ListedPodsAreNotPushedOut) {
  PodTable pods(1, 4, all_may_go);
  pods.list("stays");
  EXPECT_FALSE(pods.list("too many"));
  EXPECT_FALSE(pods.see("new", at(1)));
}

}  // namespace
}  // namespace kvasir

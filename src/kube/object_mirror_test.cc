#include "kube/object_mirror.h"

#include <gtest/gtest.h>

#include "kube/object_fixture.h"
#include "kube/resource_version.h"
#include "kube/retry_pause.h"

namespace kvasir {
namespace {

TEST(ResourceVersionTest, OnlyPositiveWholeNumbersAreOrdered) {
  EXPECT_TRUE(is_older_version("9", "10"));
  EXPECT_TRUE(is_older_version("99999999999999999999", "100000000000000000000"));  // past 64 bits
  EXPECT_FALSE(is_older_version("10", "9"));
  EXPECT_FALSE(is_older_version("10", "10"));
  for (const char* odd : {"", "0", "007", "-1", "1a", "1.0", " 1"}) {
    EXPECT_FALSE(is_older_version(odd, "10")) << odd;
    EXPECT_FALSE(is_older_version("10", odd)) << odd;
  }
}

TEST(RetryPauseTest, PausesDoubleUpToTheMostWithJitterAndStartOverAfterReset) {
  Random random(7);
  const Duration min = std::chrono::milliseconds(200);
  const Duration max = std::chrono::seconds(30);
  RetryPause pause(min, max, random);
  Duration whole = min;
  for (size_t failure = 1; failure <= 100; ++failure) {
    const Duration next = pause.next();
    EXPECT_LE(next, whole);
    EXPECT_GE(next, whole / 2);
    EXPECT_EQ(pause.failures(), failure);
    whole = std::min(whole * 2, max);
  }
  pause.reset();
  EXPECT_LE(pause.next(), min);
}

struct ObjectMirrorTest : ::testing::Test {
  void list(std::initializer_list<PodText> pods) {
    mirror.begin_list();
    for (const PodText& pod : pods) mirror.take(make_pod(pod));
    mirror.end_list();
  }

  ObjectStore store{{.objects = 3}};
  ChangeRecorder listener{store};
  std::string refused;
  ObjectMirror mirror{store, KubeKind::kPod, [this](const ObjectKey& key, const std::string& why) {
                        refused += key.name + ": " + why + "\n";
                      }};
};

TEST_F(ObjectMirrorTest, WhatANewListDoesNotHoldIsRemoved) {
  list({{"a"}, {"b"}});
  list({{"b"}, {"c", "2"}});
  EXPECT_EQ(listener.take(), "+a@1 +b@1 +c@2 -a@1");
  EXPECT_EQ(mirror.size(), 2u);
}

TEST_F(ObjectMirrorTest, AListThatIsGivenUpRemovesNothing) {
  list({{"a"}, {"b"}});
  mirror.begin_list();
  mirror.take(make_pod({"a", "2"}));
  mirror.begin_list();
  mirror.take(make_pod({"a", "2"}));
  EXPECT_EQ(store.size(), 2u);
  mirror.take(make_pod({"b", "1"}));
  mirror.end_list();
  EXPECT_EQ(listener.take(), "+a@1 +b@1 a@1>2");
}

TEST_F(ObjectMirrorTest, AnOlderEventChangesNothing) {
  list({{"a", "9"}});
  mirror.take(make_pod({"a", "10"}));
  mirror.take(make_pod({"a", "9"}));
  mirror.take_deleted({"default", "a"}, "9");
  EXPECT_EQ(listener.take(), "+a@9 a@9>10");
}

TEST_F(ObjectMirrorTest, AnEventOlderThanADeletionDoesNotBringTheObjectBack) {
  list({{"a", "9"}});
  mirror.take_deleted({"default", "a"}, "12");
  mirror.take(make_pod({"a", "11"}));
  EXPECT_EQ(listener.take(), "+a@9 -a@9");
  mirror.take(make_pod({"a", "13", "another"}));
  EXPECT_EQ(listener.take(), "+a@13");
}

// Nothing may be said about their order, so the last word counts.
TEST_F(ObjectMirrorTest, VersionsThatAreNoNumbersAreTakenAsTheyCome) {
  list({{"a", "x9"}});
  mirror.take(make_pod({"a", "x8"}));
  mirror.take_deleted({"default", "a"}, "x7");
  EXPECT_EQ(listener.take(), "+a@x9 a@x9>x8 -a@x8");
}

// etcd restored from a backup.
TEST_F(ObjectMirrorTest, AListWithSmallerVersionsThanBeforeIsBelieved) {
  list({{"a", "900"}, {"b", "901"}});
  list({{"a", "40"}});
  EXPECT_EQ(listener.take(), "+a@900 +b@901 a@900>40 -b@901");
  mirror.take(make_pod({"a", "41"}));
  EXPECT_EQ(listener.take(), "a@40>41");
}

TEST_F(ObjectMirrorTest, WithinOneListAnOlderWordIsDropped) {
  mirror.begin_list();
  mirror.take(make_pod({"a", "5"}));
  mirror.take(make_pod({"a", "4"}));
  mirror.take_deleted({"default", "a"}, "3");
  mirror.end_list();
  EXPECT_EQ(listener.take(), "+a@5");
}

TEST_F(ObjectMirrorTest, AnObjectThatCannotBeReadIsToldOnceAndKeptAsItWas) {
  list({{"a"}});
  mirror.take_unreadable({"default", "a"}, "status.podIP: is no text");
  mirror.begin_list();
  mirror.take_unreadable({"default", "a"}, "status.podIP: is no text");
  mirror.end_list();
  EXPECT_EQ(listener.take(), "+a@1");
  EXPECT_EQ(refused, "a: status.podIP: is no text\n");
  mirror.take(make_pod({"a", "3"}));
  mirror.take_unreadable({"default", "a"}, "status.podIP: is no text");
  EXPECT_EQ(refused, "a: status.podIP: is no text\na: status.podIP: is no text\n");
  mirror.take_deleted({"default", "a"}, "4");
  EXPECT_EQ(store.size(), 0u);
}

TEST_F(ObjectMirrorTest, WhenTheStoreIsFullTheFirstObjectLeftOutIsTold) {
  list({{"a"}, {"b"}, {"c"}, {"d"}, {"e"}});
  EXPECT_EQ(store.size(), 3u);
  EXPECT_FALSE(mirror.complete());
  EXPECT_NE(refused.find("d: the store is full: 3 objects"), std::string::npos) << refused;
  EXPECT_EQ(refused.find("e: "), std::string::npos) << refused;
  list({{"a"}});
  list({{"a"}, {"d"}});
  EXPECT_TRUE(mirror.complete());
  EXPECT_EQ(store.size(), 2u);
}

// A stranger's API server that deletes names without end.
TEST_F(ObjectMirrorTest, DeletionsAreRememberedUpToALimit) {
  for (size_t i = 0; i < 10'000; ++i) {
    mirror.take_deleted({"default", "n" + std::to_string(i)}, "50");
  }
  mirror.take(make_pod({"n9999", "49"}));
  EXPECT_EQ(store.size(), 0u);
  mirror.take(make_pod({"n0", "49"}));
  EXPECT_EQ(store.size(), 1u);
}

}  // namespace
}  // namespace kvasir

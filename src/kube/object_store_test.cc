#include "kube/object_store.h"

#include <gtest/gtest.h>

#include "kube/object_fixture.h"

namespace kvasir {
namespace {

constexpr KubeKind kPod = KubeKind::kPod;

struct ObjectStoreTest : ::testing::Test {
  ObjectStore store;
  ChangeRecorder listener{store};
};

TEST_F(ObjectStoreTest, ListenersHearEachChangeOnceAndSeeItInTheStore) {
  EXPECT_TRUE(store.put(kPod, make_pod({"a", "1"})));
  EXPECT_TRUE(store.put(kPod, make_pod({"a", "2"})));
  store.remove(kPod, {"default", "a"});
  store.end_batch();
  EXPECT_EQ(listener.take(), "+a@1 a@1>2 -a@2 .");
  EXPECT_EQ(store.get<Pod>("default", "a"), nullptr);
}

TEST_F(ObjectStoreTest, TheSameUidAndResourceVersionAgainIsNoChange) {
  store.put(kPod, make_pod({"a", "1"}));
  store.put(kPod, make_pod({"a", "1"}));
  EXPECT_EQ(listener.take(), "+a@1");
}

// Whoever keeps something by the object, not by its name, must hear that the old one is gone.
TEST_F(ObjectStoreTest, ADeletedAndRecreatedObjectIsARemovalAndAnAddition) {
  struct Looker final : ObjectStoreListener {
    explicit Looker(ObjectStore& s) : store(s) { store.add_listener(*this); }
    ~Looker() override { store.remove_listener(*this); }
    void on_change(const ObjectChange& change) override {
      EXPECT_EQ(store.get<Pod>("default", "a"), change.after);
      EXPECT_EQ(store.size(), change.after == nullptr ? 0u : 1u);
    }
    ObjectStore& store;
  } looker(store);
  store.put(kPod, make_pod({"a", "1", "first"}));
  store.put(kPod, make_pod({"a", "5", "second"}));
  EXPECT_EQ(listener.take(), "+a@1 -a@1 +a@5");
  EXPECT_EQ(store.get<Pod>("default", "a")->meta.uid, "second");
}

// Files give no resource version: what they say again may be another thing.
TEST_F(ObjectStoreTest, WithoutAResourceVersionEachPutIsAChange) {
  store.put(kPod, make_pod({"a", ""}));
  store.put(kPod, make_pod({"a", ""}));
  EXPECT_EQ(listener.changes, 2u);
}

TEST_F(ObjectStoreTest, ObjectsAreVisitedByNamespaceAndName) {
  for (const char* name : {"b", "a"}) {
    for (const char* space : {"y", "x", "xx"}) store.put(kPod, make_pod({name, "1", {}, space}));
  }
  std::string all;
  store.for_each<Pod>("", [&](const Pod& pod) { all += to_string(pod.meta.key()) + " "; });
  EXPECT_EQ(all, "x/a x/b xx/a xx/b y/a y/b ");
  std::string one;
  store.for_each<Pod>("x", [&](const Pod& pod) { one += to_string(pod.meta.key()) + " "; });
  EXPECT_EQ(one, "x/a x/b ");
}

TEST(ObjectStoreLimitTest, MoreObjectsThanTheLimitAreRefusedAndKnownOnesStillChange) {
  ObjectStore store({.objects = 2});
  EXPECT_TRUE(store.put(kPod, make_pod({"a"})));
  EXPECT_TRUE(store.put(kPod, make_pod({"b"})));
  EXPECT_FALSE(store.put(kPod, make_pod({"c"})));
  EXPECT_FALSE(store.put(kPod, make_pod({"a", "9"}), store.add_source()));
  EXPECT_TRUE(store.put(kPod, make_pod({"a", "2"})));
  store.remove(kPod, {"default", "b"});
  EXPECT_TRUE(store.put(kPod, make_pod({"c"})));
}

// Two reflectors whose selectors overlap: one of them losing sight of a pod is not its end.
TEST_F(ObjectStoreTest, AnObjectOfTwoSourcesGoesWhenBothHaveLetItGo) {
  const ObjectSource all = store.add_source();
  const ObjectSource some = store.add_source();
  store.put(kPod, make_pod({"a", "1"}), all);
  store.put(kPod, make_pod({"a", "1"}), some);
  EXPECT_EQ(listener.take(), "+a@1");
  store.remove(kPod, {"default", "a"}, some);
  EXPECT_EQ(listener.take(), "");
  store.put(kPod, make_pod({"a", "1"}), some);
  store.remove(kPod, {"default", "a"}, all);
  EXPECT_EQ(listener.take(), "");
  EXPECT_EQ(store.size(), 1u);
  store.remove(kPod, {"default", "a"}, some);
  EXPECT_EQ(listener.take(), "-a@1");
}

TEST_F(ObjectStoreTest, OfTwoSourcesTheNewerResourceVersionIsShown) {
  const ObjectSource one = store.add_source();
  const ObjectSource other = store.add_source();
  store.put(kPod, make_pod({"a", "9"}), one);
  store.put(kPod, make_pod({"a", "10"}), other);
  store.put(kPod, make_pod({"a", "8"}), one);
  EXPECT_EQ(listener.take(), "+a@9 a@9>10");
  store.put(kPod, make_pod({"a", "11"}), one);
  EXPECT_EQ(listener.take(), "a@10>11");
  store.remove(kPod, {"default", "a"}, one);
  EXPECT_EQ(listener.take(), "a@11>10");
}

TEST_F(ObjectStoreTest, ASourceThatNeverHadAnObjectCannotRemoveIt) {
  const ObjectSource one = store.add_source();
  store.put(kPod, make_pod({"a"}), one);
  store.remove(kPod, {"default", "a"}, store.add_source());
  store.remove(kPod, {"default", "a"});
  EXPECT_EQ(store.size(), 1u);
}

KubeObjectPtr objective(const char* group, int32_t priority) {
  auto object = std::make_shared<InferenceObjective>();
  object->type = find_kube_type(KubeKind::kInferenceObjective, group);
  object->meta.name = "critical";
  object->meta.name_space = "default";
  object->meta.uid = group;
  object->meta.resource_version = "1";
  object->priority = priority;
  return object;
}

// During a move from one API group to the other both have the same names.
TEST_F(ObjectStoreTest, TheObjectOfThePreferredGroupIsShownUntilItGoes) {
  constexpr KubeKind kKind = KubeKind::kInferenceObjective;
  const ObjectSource older = store.add_source();
  const ObjectSource newer = store.add_source();
  const auto priority = [this] {
    return store.get<InferenceObjective>("default", "critical")->priority;
  };
  store.put(kKind, objective("inference.networking.x-k8s.io", 1), older);
  EXPECT_EQ(priority(), 1);
  store.put(kKind, objective("llm-d.ai", 2), newer);
  EXPECT_EQ(priority(), 2);
  store.remove(kKind, {"default", "critical"}, newer);
  EXPECT_EQ(priority(), 1);
  store.put(kKind, objective("llm-d.ai", 3), newer);
  store.remove(kKind, {"default", "critical"}, older);
  EXPECT_EQ(priority(), 3);
  EXPECT_EQ(store.size(), 1u);
}

}  // namespace
}  // namespace kvasir

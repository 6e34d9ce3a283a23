#include "cluster/pool_objects.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "cluster/cluster_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::Pair;
using Rule = InferenceModelRewrite::Rule;

constexpr const char* kOlderGroup = "inference.networking.x-k8s.io";

class PoolObjectsTest : public ::testing::Test {
 protected:
  PoolObjectsTest() {
    PoolSelection selection;
    selection.pool_name = "pool";
    objects_.emplace(store_, selection, listener());
  }
  PoolObjects::Listener listener() {
    return {[this](std::shared_ptr<const PoolObjects::Priorities> priorities) {
              priorities_ = std::move(priorities);
              ++told_;
            },
            [this](std::shared_ptr<const ModelRewriteTable> rewrites) {
              rewrites_ = std::move(rewrites);
              ++told_;
            }};
  }
  void put(const KubeObjectPtr& object) {
    store_.put(object->type->as, object, source_of(*object));
    store_.end_batch();
  }
  void remove(const KubeObjectPtr& object) {
    store_.remove(object->type->as, object->meta.key(), source_of(*object));
    store_.end_batch();
  }
  // A reflector each.
  ObjectSource source_of(const KubeObject& object) const {
    return object.type->group == kOlderGroup ? older_ : ObjectSource{};
  }
  // The only target there is for `model`.
  std::string target(const std::string& model) {
    if (rewrites_ == nullptr) return "";
    const auto drawn = rewrites_->draw(model, random_);
    return drawn ? std::string(drawn->origin) + ":" + std::string(drawn->model) : "";
  }

  ObjectStore store_;
  const ObjectSource older_ = store_.add_source();
  Random random_{7};
  std::shared_ptr<const PoolObjects::Priorities> priorities_;
  std::shared_ptr<const ModelRewriteTable> rewrites_;
  int told_ = 0;
  std::optional<PoolObjects> objects_;
};

TEST_F(PoolObjectsTest, PrioritiesAreOfObjectivesThatReferToThePool) {
  EXPECT_EQ(told_, 2) << "what there is, at once";
  EXPECT_TRUE(priorities_->empty());
  put(make_objective("high", 10));
  put(make_objective("old", 3, kOlderGroup));
  auto same_group = make_objective("same-group", 1);
  same_group->pool.group = "inference.networking.k8s.io";
  put(same_group);
  auto other_group = make_objective("other-group", 1);
  other_group->pool.group = kOlderGroup;
  put(other_group);
  auto other_pool = make_objective("other-pool", 1);
  other_pool->pool.name = "another";
  put(other_pool);
  auto no_pool = make_objective("no-pool", 1);
  no_pool->pool.name.clear();
  put(no_pool);
  auto elsewhere = make_objective("elsewhere", 1);
  elsewhere->meta.name_space = "elsewhere";
  put(elsewhere);
  auto leaving = make_objective("leaving", 1);
  leaving->meta.deleting = true;
  put(leaving);
  EXPECT_THAT(*priorities_, ElementsAre(Pair("high", 10), Pair("old", 3), Pair("same-group", 1)));
}

TEST_F(PoolObjectsTest, OfTwoGroupsTheNewerOnesObjectCounts) {
  put(make_objective("x", 5, kOlderGroup));
  put(make_objective("x", 7));
  EXPECT_THAT(*priorities_, ElementsAre(Pair("x", 7)));
  put(make_objective("x", 6, kOlderGroup));
  EXPECT_THAT(*priorities_, ElementsAre(Pair("x", 7)));
  remove(make_objective("x", 0));
  EXPECT_THAT(*priorities_, ElementsAre(Pair("x", 6)));
  const std::vector<Rule> older = {{{"m"}, {{"older", {}}}}};
  const std::vector<Rule> newer = {{{"n"}, {{"newer", {}}}}};
  put(make_rewrite("r", 1, older, kOlderGroup));
  EXPECT_EQ(target("m"), "r:older");
  put(make_rewrite("r", 2, newer));
  EXPECT_EQ(target("m"), "") << "the whole object is replaced";
  EXPECT_EQ(target("n"), "r:newer");
}

TEST_F(PoolObjectsTest, AChangeOfOtherObjectsIsToldToNobody) {
  put(make_pod("a", "10.0.0.1"));
  put(make_pool());
  auto elsewhere = make_objective("elsewhere", 1);
  elsewhere->meta.name_space = "elsewhere";
  put(elsewhere);
  EXPECT_EQ(told_, 2);
}

TEST_F(PoolObjectsTest, RewritesAreChosenByModelThenAgeThenOrder) {
  const std::vector<Rule> v1 = {{{"model1"}, {{"model1-v1", {}}}}};
  const std::vector<Rule> v2 = {{{"model1"}, {{"model1-v2", {}}}}};
  const std::vector<Rule> generic = {{{}, {{"fallback", {}}}}};
  const std::vector<Rule> new_generic = {{{}, {{"new-fallback", {}}}}};
  const auto old_one = make_rewrite("old", 100, v1);
  const auto new_one = make_rewrite("new", 200, v2);
  const auto generic_old = make_rewrite("generic-old", 100, generic);
  const auto generic_new = make_rewrite("generic-new", 200, new_generic);
  const struct {
    std::vector<KubeObjectPtr> objects;
    const char* model;
    const char* target;
  } cases[] = {
      {{}, "model1", ""},
      {{old_one}, "model1", "old:model1-v1"},
      {{generic_old}, "model2", "generic-old:fallback"},
      {{generic_old}, "", "generic-old:fallback"},
      {{old_one}, "model2", ""},
      {{old_one}, "Model1", ""},
      {{old_one}, "model11", ""},
      {{old_one, generic_old}, "model1", "old:model1-v1"},
      {{old_one, generic_old}, "model2", "generic-old:fallback"},
      {{new_one, generic_old}, "model1", "new:model1-v2"},
      {{new_one, old_one}, "model1", "old:model1-v1"},
      {{generic_new, generic_old}, "any", "generic-old:fallback"},
      {{make_rewrite("b", 100, v2), make_rewrite("a", 100, v1)}, "model1", "a:model1-v1"},
      {{make_rewrite("two", 1, {v1[0], v2[0]})}, "model1", "two:model1-v1"},
      {{make_rewrite("many", 1, {{{"x", "model1"}, {{"both", {}}}}})}, "model1", "many:both"},
      // Without targets the model stays, also for what a rule for every model would say.
      {{make_rewrite("none", 1, {{{"model1"}, {}}}), generic_old}, "model1", ""},
  };
  for (const auto& test : cases) {
    for (const KubeObjectPtr& object : test.objects) put(object);
    std::string names;
    for (const KubeObjectPtr& object : test.objects) names += object->meta.name + " ";
    EXPECT_EQ(target(test.model), test.target) << names << "for " << test.model;
    for (const KubeObjectPtr& object : test.objects) remove(object);
    EXPECT_EQ(rewrites_, nullptr) << "without rules the request path has nothing to look at";
  }
}

TEST_F(PoolObjectsTest, AnObjectThatChangesReplacesItsRules) {
  put(make_rewrite("r", 1, {{{"m"}, {{"one", {}}}}}));
  put(make_rewrite("r", 1, {{{"n"}, {{"two", {}}}}}));
  EXPECT_EQ(target("m"), "");
  EXPECT_EQ(target("n"), "r:two");
  auto away = make_rewrite("r", 1, {{{"n"}, {{"two", {}}}}});
  away->pool.name = "another";
  put(away);
  EXPECT_EQ(rewrites_, nullptr);
}

TEST_F(PoolObjectsTest, TargetsAreDrawnByWeight) {
  using Targets = std::vector<InferenceModelRewrite::Target>;
  const struct {
    Targets targets;
    std::map<std::string, double> shares;
  } cases[] = {
      {{{"a", 90}, {"b", 10}}, {{"a", 0.9}, {"b", 0.1}}},
      {{{"a", 1}, {"b", 1}, {"c", 2}}, {{"a", 0.25}, {"b", 0.25}, {"c", 0.5}}},
      {{{"a", {}}, {"b", {}}, {"c", {}}, {"d", {}}},
       {{"a", 0.25}, {"b", 0.25}, {"c", 0.25}, {"d", 0.25}}},
      {{{"a", 3}, {"b", {}}}, {{"a", 1}}},
      {{{"a", 1'000'000}, {"b", 1}}, {{"a", 1}}},
      {{{"a", 0}, {"b", 0}}, {{"a", 0.5}, {"b", 0.5}}},
      {{{"a", -5}, {"b", 5}}, {{"b", 1}}},
      {{{"a", 2'000'000'000}, {"b", 2'000'000'000}, {"c", 2'000'000'000}},
       {{"a", 1 / 3.}, {"b", 1 / 3.}, {"c", 1 / 3.}}},
      {{{"a", 1}, {"a", 1}, {"b", 2}}, {{"a", 0.5}, {"b", 0.5}}},
  };
  constexpr int kDraws = 10'000;
  for (const auto& test : cases) {
    put(make_rewrite("r", 1, {{{"m"}, test.targets}}));
    std::map<std::string, int> drawn;
    for (int i = 0; i < kDraws; ++i) ++drawn[std::string(rewrites_->draw("m", random_)->model)];
    for (const auto& [model, count] : drawn) {
      const auto share = test.shares.find(model);
      const double expected = share == test.shares.end() ? 0 : share->second;
      EXPECT_NEAR(count / double{kDraws}, expected, 0.02) << model;
    }
    double sum = 0;
    for (const auto& [model, share] : test.shares) {
      sum += share;
      EXPECT_TRUE(drawn.contains(model)) << model;
    }
    EXPECT_NEAR(sum, 1, 1e-6);
  }
}

TEST(PoolObjects, APoolOfFlagsHasNone) {
  ObjectStore store;
  store.put(KubeKind::kInferenceObjective, make_objective("x", 1));
  PoolSelection selection;
  selection.selector = LabelSelector::parse("app=vllm").value();
  std::shared_ptr<const PoolObjects::Priorities> priorities;
  const PoolObjects objects(store, selection,
                            {[&](auto table) { priorities = std::move(table); }, [](auto) {}});
  EXPECT_TRUE(priorities->empty());
}

}  // namespace
}  // namespace kvasir

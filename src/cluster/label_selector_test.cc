#include "cluster/label_selector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

TEST(LabelSelector, TakesWhatAllItsConditionsHoldFor) {
  const LabelSelector::Labels labels = {
      {"app", "vllm"}, {"env", "prod"}, {"llm-d.ai/role", "decode"}, {"empty", ""}};
  const struct {
    const char* text;
    bool taken;
  } cases[] = {
      {"", true},
      {"app=vllm", true},
      {"app==vllm", true},
      {" app = vllm , env = prod ", true},
      {"app=vllm,llm-d.ai/role=prefill", false},
      {"app=vllm,llm-d.ai/role=decode", true},
      {"app=", false},
      {"empty=", true},
      {"missing=", false},
      {"app!=sglang", true},
      {"app!=vllm", false},
      {"missing!=vllm", true},
      {"env in (prod,staging)", true},
      {"env in ( test )", false},
      {"missing in (prod)", false},
      {"empty in (,x)", true},
      {"env notin (test,staging)", true},
      {"env notin (prod)", false},
      {"missing notin (prod)", true},
      {"app", true},
      {"missing", false},
      {"!missing", true},
      {"! missing", true},
      {"!app", false},
      {"in in (in)", false},
      {"app,env in (prod),!missing,empty=", true},
  };
  for (const auto& test : cases) {
    const Result<LabelSelector> selector = LabelSelector::parse(test.text);
    ASSERT_TRUE(selector) << test.text << ": " << selector.error().message;
    EXPECT_EQ(selector->matches(labels), test.taken) << test.text;
    const Result<LabelSelector> again = LabelSelector::parse(selector->to_string());
    ASSERT_TRUE(again) << selector->to_string();
    EXPECT_EQ(*again, *selector) << test.text << " became " << selector->to_string();
  }
}

TEST(LabelSelector, SaysWhatIsWrong) {
  const struct {
    const char* text;
    const char* why;
  } cases[] = {
      {"=vllm", "'' is not a label's key"},
      {"app=vllm,", "'' is not a label's key"},
      {",app=vllm", "'' is not a label's key"},
      {"-app=vllm", "'-app' is not a label's key"},
      {"a/b/c=x", "'a/b/c' is not a label's key"},
      {"/app=x", "'/app' is not a label's key"},
      {"app=v/llm", "'v/llm' is not a label's value"},
      {"app=vllm env=prod", "a comma is missing"},
      {"app>3", "needs =, !=, in or notin"},
      {"env within (prod)", "needs =, !=, in or notin"},
      {"env in prod", "stand in parentheses"},
      {"env in (prod", "is not closed"},
      {"env in (prod staging)", "is not closed"},
      {"!app=x", "a comma is missing"},
      {"app=x)", "a comma is missing"},
  };
  for (const auto& test : cases) {
    const Result<LabelSelector> selector = LabelSelector::parse(test.text);
    ASSERT_FALSE(selector) << test.text;
    EXPECT_THAT(selector.error().message, ::testing::HasSubstr(test.why)) << test.text;
  }
  EXPECT_FALSE(LabelSelector::parse("app=" + std::string(64, 'x')));
  EXPECT_TRUE(LabelSelector::parse("app=" + std::string(63, 'x')));
  EXPECT_FALSE(LabelSelector::parse(std::string(254, 'x') + "/app=y"));
}

// Whether a pod belongs to a pool is the same question there.
TEST(LabelSelector, OfMatchExpressionsHoldsWhereThePoolSelects) {
  using Operator = LabelRequirement::Operator;
  const std::vector<LabelRequirement> requirements[] = {
      {{"role", Operator::kIn, {"decode", "prefill"}}},
      {{"role", Operator::kNotIn, {"encode"}}},
      {{"role", Operator::kExists, {}}},
      {{"role", Operator::kDoesNotExist, {}}},
      {{"role", Operator::kExists, {}}, {"role", Operator::kNotIn, {"decode"}}},
  };
  const LabelSelector::Labels pods[] = {
      {{"app", "vllm"}},
      {{"app", "other"}, {"role", "decode"}},
      {{"app", "vllm"}, {"role", "decode"}},
      {{"app", "vllm"}, {"role", "encode"}},
  };
  for (const auto& required : requirements) {
    InferencePool pool;
    pool.selector = {{"app", "vllm"}};
    pool.requirements = required;
    const LabelSelector selector(pool.selector, pool.requirements);
    for (const LabelSelector::Labels& pod : pods) {
      EXPECT_EQ(selector.matches(pod), selects(pool, pod)) << selector.to_string();
    }
  }
}

TEST(LabelSelector, OfMatchLabelsIsOneOfEqualities) {
  const LabelSelector selector(LabelSelector::Labels{{"app", "vllm"}, {"tier", "gpu"}});
  EXPECT_EQ(selector.to_string(), "app in (vllm),tier in (gpu)");
  EXPECT_TRUE(selector.matches({{"app", "vllm"}, {"tier", "gpu"}, {"more", "x"}}));
  EXPECT_FALSE(selector.matches({{"app", "vllm"}}));
}

}  // namespace
}  // namespace kvasir

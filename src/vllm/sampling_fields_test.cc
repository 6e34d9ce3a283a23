#include "vllm/sampling_fields.h"

#include <gtest/gtest.h>

#include <cmath>
#include <functional>

namespace kvasir {
namespace {

using Change = std::function<void(SamplingFields&)>;

SamplingFields changed(const Change& change) {
  SamplingFields fields;
  change(fields);
  return fields;
}

TEST(SamplingFields, RangesAreCheckedAtTheirEdges) {
  struct Case {
    Change change;
    bool taken;
    std::optional<std::string> param;
  };
  const Case cases[] = {
      {[](SamplingFields& f) { f.temperature = 2; }, true, {}},
      {[](SamplingFields& f) { f.temperature = 2.01; }, false, "temperature"},
      {[](SamplingFields& f) { f.temperature = std::nan(""); }, false, "temperature"},
      {[](SamplingFields& f) { f.top_p = 0; }, false, "top_p"},
      {[](SamplingFields& f) { f.top_p = 1; }, true, {}},
      {[](SamplingFields& f) { f.top_k = -1; }, true, {}},
      {[](SamplingFields& f) { f.top_k = -2; }, false, {}},
      {[](SamplingFields& f) { f.min_p = std::nan(""); }, false, {}},
      {[](SamplingFields& f) { f.n = 0; }, false, {}},
      {[](SamplingFields& f) { f.n = 16384; }, true, {}},
      {[](SamplingFields& f) { f.n = 16385; }, false, {}},
      {[](SamplingFields& f) { f.n = 2, f.temperature = 0; }, false, {}},
      {[](SamplingFields& f) { f.presence_penalty = -2; }, true, {}},
      {[](SamplingFields& f) { f.repetition_penalty = HUGE_VAL; }, false, {}},
      {[](SamplingFields& f) { f.min_tokens = 8; }, true, {}},
      {[](SamplingFields& f) { f.min_tokens = 9; }, false, {}},
      {[](SamplingFields& f) { f.stop = {""}; }, false, {}},
      {[](SamplingFields& f) {
         f.logit_bias = {{"x", 1.0}};
       },
       false, "logit_bias"},
  };
  for (size_t i = 0; i < std::size(cases); ++i) {
    const auto error = check_sampling(changed(cases[i].change), 8);
    EXPECT_EQ(!error, cases[i].taken) << i;
    EXPECT_EQ(error ? error->param : std::nullopt, cases[i].param) << i;
  }
}

TEST(SamplingFields, MaxTokensOfNothingIsRefused) {
  EXPECT_EQ(check_sampling({}, 0)->param, "max_tokens");
  EXPECT_FALSE(check_sampling({}, 1));
}

TEST(SamplingFields, TheHashSeesSamplingAndNotWhatEndsAnAnswer) {
  const uint64_t plain = hash_sampling({});
  EXPECT_EQ(hash_sampling(changed([](SamplingFields& f) { f.stop = {"x"}; })), plain);
  EXPECT_EQ(hash_sampling(changed([](SamplingFields& f) { f.n = 3; })), plain);
  EXPECT_NE(hash_sampling(changed([](SamplingFields& f) { f.seed = 0; })), plain);
  EXPECT_NE(hash_sampling(changed([](SamplingFields& f) { f.temperature = 0; })), plain);
}

}  // namespace
}  // namespace kvasir

#include "timing/step_model.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "base/random.h"

namespace kvasir {
namespace {

EngineProfile profile(const std::string& name = std::string(kDefaultEngineProfile)) {
  return load_engine_profile(name).value();
}

double prefill_ms(const EngineProfile& of, uint64_t chunk, uint64_t prefix, uint32_t decoding = 0) {
  StepWork work;
  work.add_prefill(chunk, prefix);
  for (uint32_t row = 0; row < decoding; ++row) work.add_decode(1030);
  return StepModel(of.step).step_seconds(work) * 1e3;
}

double decode_ms(const EngineProfile& of, uint32_t rows, uint64_t context) {
  StepWork work;
  for (uint32_t row = 0; row < rows; ++row) work.add_decode(context);
  return StepModel(of.step).step_seconds(work) * 1e3;
}

// Steps of vLLM 0.20.2 on one H200, as the profile's sources say; single steps scatter by some 3 %.
TEST(MeasuredProfile, MeetsThePrefillStepsOfTheMeasuredMachine) {
  const struct {
    uint64_t chunk;
    uint64_t prefix;
    double ms;
  } cases[] = {
      {256, 0, 25.7},        {512, 0, 51.8},        {1024, 0, 66.6},       {2048, 0, 121.6},
      {4096, 0, 260.6},      {8192, 0, 601.5},      {8192, 8192, 835.6},   {8192, 16384, 1053.3},
      {8192, 24576, 1280.9}, {8192, 49152, 1944.5}, {8192, 73728, 2636.7}, {8192, 98304, 3389.6},
  };
  for (const auto& test : cases) {
    EXPECT_NEAR(prefill_ms(profile(), test.chunk, test.prefix) / test.ms, 1, 0.04)
        << test.chunk << " after " << test.prefix;
  }
}

TEST(MeasuredProfile, MeetsTheDecodeStepsOfTheMeasuredMachine) {
  const struct {
    uint32_t rows;
    double ms;
  } cases[] = {{1, 13.6}, {8, 14.6}, {16, 15.1}, {32, 19.3}, {64, 20.1}, {128, 24.4}};
  for (const auto& test : cases) {
    EXPECT_NEAR(decode_ms(profile(), test.rows, 1030) / test.ms, 1, 0.05) << test.rows;
  }
}

// A prompt of 32,768 tokens beside 64 rows that decode. The fifth step has its last 256 tokens:
// without rows it would have had a CUDA graph.
TEST(MeasuredProfile, MeetsTheMixedStepsOfTheMeasuredMachine) {
  const double ms[] = {597, 840.4, 1059.4, 1286, 84.2};
  uint64_t done = 0;
  for (const double expected : ms) {
    const uint64_t chunk = std::min<uint64_t>(8192 - 64, 32'768 - done);
    EXPECT_NEAR(prefill_ms(profile(), chunk, done, 64) / expected, 1, 0.03) << done;
    done += chunk;
  }
}

TEST(MeasuredProfile, AStepWithoutACudaGraphTakesFiftyMillisecondsUpToSevenHundredTokens) {
  for (const uint64_t tokens : {257, 320, 400, 512, 600, 700}) {
    EXPECT_NEAR(prefill_ms(profile(), tokens, 0), 50.5, 1.5) << tokens;
  }
  EXPECT_LT(prefill_ms(profile(), 256, 0), 26);
}

TEST(MeasuredProfile, AStepIsPaddedToTheNextCudaGraph) {
  for (const auto& [fewer, more] : {std::pair{17, 32}, std::pair{129, 256}}) {
    EXPECT_NEAR(decode_ms(profile(), fewer, 0), decode_ms(profile(), more, 0), 0.05) << fewer;
    EXPECT_GT(decode_ms(profile(), fewer, 0), 1.1 * decode_ms(profile(), fewer - 1, 0)) << fewer;
  }
}

// Its kernels were measured, and are never faster than those of the H200, whose arithmetic is the
// same; only a host that waits for itself takes the same time.
TEST(MeasuredProfile, AnH100IsAsFastAtPrefillAndSlowerAtDecode) {
  const EngineProfile h100 = profile("qwen3-32b-fp8-h100");
  EXPECT_NEAR(prefill_ms(h100, 8192, 0) / prefill_ms(profile(), 8192, 0), 1, 0.02);
  EXPECT_EQ(prefill_ms(h100, 512, 0) > 50, prefill_ms(profile(), 512, 0) > 50);
  EXPECT_GT(decode_ms(h100, 128, 4096), 1.3 * decode_ms(profile(), 128, 4096));
}

EngineProfile fitted() {
  return profile("qwen3-32b-fp8-h200-published-ab");
}

// The step times published with the fit, which rounds them.
TEST(FittedProfile, MeetsThePublishedPrefillTimes) {
  const struct {
    uint64_t prefix;
    double ms;
  } cases[] = {{0, 590}, {8192, 909}, {16384, 1228}, {32768, 1867}};
  for (const auto& test : cases) {
    EXPECT_NEAR(prefill_ms(fitted(), 8192, test.prefix) / test.ms, 1, 0.03);
  }
}

TEST(FittedProfile, MeetsThePublishedDecodeTimes) {
  const struct {
    uint32_t rows;
    uint64_t context;
    double ms;
    double tolerance;
  } cases[] = {
      {1, 1024, 15, 0.03},
      {64, 1024, 19.5, 0.03},
      {64, 4096, 28, 0.03},
      {64, 8192, 41, 0.03},
      {64, 16384, 66, 0.03},
      {128, 1024, 25, 0.03},
      {128, 4096, 44, 0.03},
      // These two were read from the generation table that the one coefficient of the formula
      // approximates: at 128 rows the table grows by 5.0e-5 ms a token, the formula by 4.7e-5.
      {128, 8192, 71, 0.06},
      {128, 16384, 123, 0.06},
  };
  for (const auto& test : cases) {
    EXPECT_NEAR(decode_ms(fitted(), test.rows, test.context) / test.ms, 1, test.tolerance)
        << test.rows << " rows of " << test.context;
  }
}

StepTimes simple_times() {
  StepTimes times;
  times.dense_ms_by_tokens = {{10, 1}, {20, 2}, {40, 6}};
  times.padded_above = 24;
  times.padding = 8;
  return times;
}

double dense_ms(uint64_t tokens) {
  StepWork work;
  work.tokens = tokens;
  return StepModel(simple_times()).step_seconds(work) * 1e3;
}

TEST(StepModel, DenseTimeIsLinearBetweenThePointsAndBeyondTheLast) {
  EXPECT_DOUBLE_EQ(dense_ms(1), 1);
  EXPECT_DOUBLE_EQ(dense_ms(10), 1);
  EXPECT_DOUBLE_EQ(dense_ms(15), 1.5);
  EXPECT_DOUBLE_EQ(dense_ms(20), 2);
  EXPECT_DOUBLE_EQ(dense_ms(24), 2.8);
  EXPECT_DOUBLE_EQ(dense_ms(80), 14);
}

TEST(StepModel, LongStepsArePadded) {
  EXPECT_DOUBLE_EQ(dense_ms(25), dense_ms(32));
  EXPECT_DOUBLE_EQ(dense_ms(32), 4.4);
  EXPECT_DOUBLE_EQ(dense_ms(33), dense_ms(40));
}

TEST(StepModel, TheTableMayHaveStairs) {
  StepTimes times;
  times.dense_ms_by_tokens = {{16, 1}, {17, 5}, {32, 5}, {33, 9}, {256, 9}, {257, 50}, {700, 50}};
  const StepModel model(times);
  const auto ms = [&](uint64_t tokens) {
    StepWork work;
    work.tokens = tokens;
    return model.step_seconds(work) * 1e3;
  };
  for (uint64_t tokens = 0; tokens <= 16; ++tokens) EXPECT_DOUBLE_EQ(ms(tokens), 1) << tokens;
  for (uint64_t tokens = 17; tokens <= 32; ++tokens) EXPECT_DOUBLE_EQ(ms(tokens), 5) << tokens;
  for (uint64_t tokens = 33; tokens <= 256; ++tokens) EXPECT_DOUBLE_EQ(ms(tokens), 9) << tokens;
  for (const uint64_t tokens : {257, 600, 700, 1 << 20}) EXPECT_DOUBLE_EQ(ms(tokens), 50) << tokens;
}

TEST(StepModel, TheLookUpAgreesWithTheTablePointByPoint) {
  Random random(7);
  for (int table = 0; table < 200; ++table) {
    StepTimes times;
    double tokens = static_cast<double>(random.below(3));
    double most = static_cast<double>(random.below(20));
    for (size_t points = 1 + random.below(30); points-- > 0;) {
      times.dense_ms_by_tokens.emplace_back(tokens, most);
      tokens += 1 + static_cast<double>(random.below(uint64_t{1} << random.below(12)));
      most += static_cast<double>(random.below(3));
    }
    const StepModel model(times);
    for (const auto& [at, expected] : times.dense_ms_by_tokens) {
      StepWork work;
      work.tokens = static_cast<uint64_t>(at);
      ASSERT_NEAR(model.step_seconds(work) * 1e3, expected, 1e-9) << at;
    }
  }
}

TEST(StepModel, OneTablePointIsAConstant) {
  StepTimes times;
  times.dense_ms_by_tokens = {{8, 3}};
  StepWork work;
  work.add_prefill(4096, 0);
  EXPECT_DOUBLE_EQ(StepModel(times).step_seconds(work), 0.003);
}

TEST(StepModel, SamplingHasAFloor) {
  StepTimes times;
  times.dense_ms_by_tokens = {{1, 0}};
  times.sampling_floor_ms = 1;
  times.sampling_ms_per_row = 0.1;
  const StepModel model(times);
  StepWork work;
  work.rows = 5;
  EXPECT_DOUBLE_EQ(model.step_seconds(work), 0.001);
  work.rows = 20;
  EXPECT_DOUBLE_EQ(model.step_seconds(work), 0.002);
}

// The sum that prefill_seconds has a closed form for.
double prefill_step_by_step(const StepModel& model, uint64_t prompt, uint64_t cached,
                            uint32_t budget, const DecodeLoad& load) {
  double seconds = 0;
  uint64_t done = std::min(cached, prompt - 1);
  while (done < prompt) {
    const uint64_t room = budget > load.rows ? budget - load.rows : 1;
    StepWork work{load.rows, 0, load.kv_tokens, load.rows};
    const uint64_t chunk = std::min(room, prompt - done);
    work.add_prefill(chunk, done);
    seconds += model.step_seconds(work);
    done += chunk;
  }
  return seconds;
}

TEST(StepModel, PrefillIsTheSumOfItsSteps) {
  const StepModel model(profile().step);
  Random random(1);
  for (int i = 0; i < 1000; ++i) {
    const uint64_t prompt = 1 + random.below(100000);
    const uint64_t cached = random.below(3) == 0 ? prompt : random.below(prompt);
    const auto budget = static_cast<uint32_t>(64 + random.below(8192));
    const DecodeLoad load{static_cast<uint32_t>(random.below(100)), random.below(300000)};
    const double expected = prefill_step_by_step(model, prompt, cached, budget, load);
    ASSERT_NEAR(model.prefill_seconds(prompt, cached, budget, load) / expected, 1, 1e-9)
        << prompt << " " << cached << " " << budget << " " << load.rows;
  }
}

TEST(StepModel, APromptThatIsCachedWholeStillTakesAStep) {
  const StepModel model(profile().step);
  EXPECT_DOUBLE_EQ(model.prefill_seconds(1024, 1024, 8192),
                   model.prefill_seconds(1024, 1023, 8192));
}

TEST(StepModel, TwentyThousandTokensTakeThreeChunks) {
  const EngineProfile h200 = profile();
  const double ms = StepModel(h200.step).prefill_seconds(20000, 0, 8192) * 1e3;
  const double steps =
      prefill_ms(h200, 8192, 0) + prefill_ms(h200, 8192, 8192) + prefill_ms(h200, 3616, 16384);
  EXPECT_NEAR(ms, steps, 1e-6);
}

}  // namespace
}  // namespace kvasir

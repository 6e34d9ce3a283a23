#include "feeds/engine_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace kvasir {
namespace {

using ::testing::DoubleEq;
using ::testing::ElementsAre;
using ::testing::Optional;

EnginePage read(std::string_view page, std::string_view engine) {
  return read_engine_page(page, *find_engine_metric_specs(engine));
}

TEST(EngineMetrics, ReadsVllmsPageAndAddsItsRanksUp) {
  const EnginePage page = read(
      "# HELP vllm:num_requests_running Number of requests\n"
      "vllm:num_requests_running{engine=\"0\",model_name=\"m\"} 3.0\n"
      "vllm:num_requests_running{engine=\"1\",model_name=\"m\"} 4.0\n"
      "vllm:num_requests_waiting{engine=\"0\"} 1\nvllm:num_requests_waiting{engine=\"1\"} 0\n"
      "vllm:num_requests_waiting_by_reason{engine=\"0\"} 99\n"
      "vllm:kv_cache_usage_perc{engine=\"0\"} 0.2\nvllm:kv_cache_usage_perc{engine=\"1\"} 0.4\n"
      "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\"} 1.0\n",
      "vllm");
  EXPECT_THAT(page.metrics.running, Optional(7.0));
  EXPECT_THAT(page.metrics.waiting, Optional(1.0));
  EXPECT_THAT(page.metrics.kv_usage, Optional(::testing::DoubleNear(0.3, 1e-12)));
  EXPECT_THAT(page.kv_capacity_tokens, Optional(1600u));
  EXPECT_FALSE(page.metrics.gpu_utilization);
}

// As vLLM's page is with --api-server-count 3: only one of the processes heard of the engine.
TEST(EngineMetrics, OfTheProcessesThatServeAnEngineTheOneThatKnowsCounts) {
  const EnginePage page = read(
      "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\",pid=\"277\"} 0.0\n"
      "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\",pid=\"275\"} 0.6\n"
      "vllm:kv_cache_usage_perc{engine=\"0\",model_name=\"m\",pid=\"276\"} 0.1\n"
      "vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"m\",pid=\"277\"} 0.2\n"
      "vllm:kv_cache_usage_perc{engine=\"1\",model_name=\"m\",pid=\"275\"} 0.0\n"
      "vllm:num_requests_running{engine=\"0\",model_name=\"m\",pid=\"275\"} 3\n"
      "vllm:num_requests_running{engine=\"0\",model_name=\"m\",pid=\"277\"} 5\n"
      "vllm:num_requests_running{engine=\"1\",model_name=\"m\",pid=\"277\"} 1\n"
      "vllm:num_requests_waiting{engine=\"0\",model_name=\"m\"} 2\n",
      "vllm");
  EXPECT_THAT(page.metrics.kv_usage, Optional(::testing::DoubleNear(0.4, 1e-12)));
  EXPECT_THAT(page.metrics.running, Optional(6.0));
  EXPECT_THAT(page.metrics.waiting, Optional(2.0));
}

TEST(EngineMetrics, NewestLoraSeriesCounts) {
  const EnginePage page = read(
      "vllm:lora_requests_info{max_lora=\"4\",running_lora_adapters=\"a, "
      "b\",waiting_lora_adapters=\"c\"} 2\n"
      "vllm:lora_requests_info{max_lora=\"4\",running_lora_adapters=\"old\",waiting_lora_adapters="
      "\"\"} 1\n",
      "vllm");
  EXPECT_THAT(page.metrics.details().running_adapters, ElementsAre("a", "b"));
  EXPECT_THAT(page.metrics.details().waiting_adapters, ElementsAre("c"));
  EXPECT_EQ(page.metrics.details().adapters_max, 4u);
}

TEST(EngineMetrics, OtherEnginesHaveOtherNames) {
  EXPECT_THAT(read("sglang:num_queue_reqs 5\nsglang:token_usage 0.5\n", "sglang").metrics.waiting,
              Optional(5.0));
  const EnginePage triton = read(
      "nv_trt_llm_request_metrics{request_type=\"waiting\"} 2\n"
      "nv_trt_llm_request_metrics{request_type=\"scheduled\"} 6\n"
      "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"tokens_per\"} 64\n"
      "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"max\"} 10\n",
      "triton-tensorrt-llm");
  EXPECT_THAT(triton.metrics.waiting, Optional(2.0));
  EXPECT_THAT(triton.metrics.running, Optional(6.0));
  EXPECT_THAT(triton.kv_capacity_tokens, Optional(640u));
  const EnginePage seed = read("vllm_kv_cache_usage_percent 45\nvllm_gpu_utilization 80\n", "seed");
  EXPECT_THAT(seed.metrics.kv_usage, Optional(DoubleEq(0.45)));
  EXPECT_THAT(seed.metrics.gpu_utilization, Optional(DoubleEq(0.8)));
  EXPECT_EQ(find_engine_metric_specs("nobody"), nullptr);
}

// Engines before 0.9 call it by another name; where both are there the new one counts.
TEST(EngineMetrics, AnOlderNameIsReadToo) {
  EXPECT_THAT(read("vllm:gpu_cache_usage_perc 0.3\n", "vllm").metrics.kv_usage, Optional(0.3));
  EXPECT_THAT(
      read("vllm:gpu_cache_usage_perc 0.3\nvllm:kv_cache_usage_perc 0.4\n", "vllm").metrics.kv_usage,
      Optional(0.4));
  EXPECT_EQ(read("vllm:gpu_cache_usage_perc 0.3\n", "vllm").missing,
            "vllm:num_requests_waiting, vllm:num_requests_running");
}

TEST(EngineMetrics, WhatIsWantedAndMissingIsNamed) {
  EXPECT_EQ(read("sglang:token_usage 0.5\n", "sglang").missing,
            "sglang:num_queue_reqs, sglang:num_running_reqs");
  EXPECT_EQ(read("nv_inference_pending_request_count 1\nnv_inference_exec_count 1\n", "triton").missing,
            "") << "this engine has no cache to speak of";
  PageSpecs specs{{*find_engine_metric_specs("vllm")}, {{"mine", {"my_metric", {}}}}};
  EXPECT_EQ(read_engine_page("vllm:num_requests_waiting 0\nvllm:num_requests_running 0\n"
                             "vllm:kv_cache_usage_perc 0\n",
                             specs)
                .missing,
            "my_metric");
}

// Of whichever engine it is, when nobody said so.
TEST(EngineMetrics, TheSizeOfAnyEnginesCacheIsRead) {
  const struct {
    const char* page;
    uint64_t tokens;
  } cases[] = {
      {"vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\"} 1\n", 1600},
      {"sglang:cache_config_info{page_size=\"64\",num_pages=\"10\"} 1\n", 640},
      {"trtllm_kv_cache_tokens_per_block 32\ntrtllm_kv_cache_max_blocks 100\n", 3200},
      {"nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"tokens_per\"} 64\n"
       "nv_trt_llm_kv_cache_block_metrics{kv_cache_block_type=\"max\"} 10\n",
       640}};
  for (const auto& [page, tokens] : cases) {
    EXPECT_THAT(read_engine_page(page, every_engine_page()).kv_capacity_tokens, Optional(tokens))
        << page;
  }
}

TEST(EngineMetrics, WhatCannotBeReadIsAbsent) {
  const EnginePage page =
      read("vllm:num_requests_running NaN\nvllm:num_requests_waiting{ 3\n\n{}\n", "vllm");
  EXPECT_FALSE(page.metrics.running);
  EXPECT_FALSE(page.metrics.waiting);
  EXPECT_FALSE(page.kv_capacity_tokens);
}

TEST(EngineMetrics, ValuesThatCannotBeTrueAreAbsentAndNamed) {
  const struct {
    const char* values;  // of waiting, running and the cache's use
    bool waiting, running, usage;
  } cases[] = {
      {"-1000000000 -5 -3", false, false, false},
      {"-0.5 1 0.5", false, true, true},
      {"1 -1 0.5", true, false, true},
      {"1 1 -0.01", true, true, false},
      {"1e300 1 0.5", false, true, true},
      {"1 1e7 0.5", true, false, true},
      {"1 1 45", true, true, false},
      {"NaN +Inf -Inf", false, false, false},
      {"0 0 0", true, true, true},
      {"1000000 1000000 1.5", true, true, true},
  };
  for (const auto& bad : cases) {
    std::istringstream values(bad.values);
    std::string waiting, running, usage;
    values >> waiting >> running >> usage;
    const EnginePage page =
        read("vllm:num_requests_waiting " + waiting + "\nvllm:num_requests_running " + running +
                 "\nvllm:kv_cache_usage_perc " + usage + "\n",
             "vllm");
    EXPECT_EQ(page.metrics.waiting.has_value(), bad.waiting) << bad.values;
    EXPECT_EQ(page.metrics.running.has_value(), bad.running) << bad.values;
    EXPECT_EQ(page.metrics.kv_usage.has_value(), bad.usage) << bad.values;
    EXPECT_LE(page.metrics.kv_usage.value_or(0), 1) << bad.values;
    const auto named = [&](const char* name) {
      return page.refused.find(name) != std::string::npos;
    };
    EXPECT_EQ(named("vllm:num_requests_waiting"), !bad.waiting) << bad.values;
    EXPECT_EQ(named("vllm:num_requests_running"), !bad.running) << bad.values;
    EXPECT_EQ(named("vllm:kv_cache_usage_perc"), !bad.usage) << bad.values;
    EXPECT_EQ(page.missing, "") << "it is there: " << bad.values;
    EXPECT_TRUE(page.any);
  }
  const EnginePage percent =
      read("vllm_kv_cache_usage_percent -4\nvllm_gpu_utilization 1000\n", "seed");
  EXPECT_FALSE(percent.metrics.kv_usage);
  EXPECT_FALSE(percent.metrics.gpu_utilization);
  EXPECT_FALSE(
      read("vllm:cache_config_info{block_size=\"-16\",num_gpu_blocks=\"-100\"} 1\n", "vllm")
          .kv_capacity_tokens);
}

// A rank that says nonsense takes nothing from what the others say.
TEST(EngineMetrics, OtherSeriesOfAValueThatCannotBeTrueCount) {
  const EnginePage page = read(
      "vllm:num_requests_waiting{engine=\"0\"} -9\nvllm:num_requests_waiting{engine=\"1\"} 4\n",
      "vllm");
  EXPECT_THAT(page.metrics.waiting, Optional(4.0));
  EXPECT_TRUE(page.doubted.empty());
}

TEST(EnginePageReader, HowThePageIsCutIntoPiecesDoesNotMatter) {
  const std::string page =
      "# HELP x y\nvllm:num_requests_waiting{engine=\"0\"} 3\nvllm:num_requests_waiting_by_reason "
      "9\n"
      "other 1\nvllm:kv_cache_usage_perc 0.25\nvllm:num_requests_running 4";
  const PageSpecs specs{{*find_engine_metric_specs("vllm")}, {}};
  for (size_t size = 1; size <= page.size(); ++size) {
    EnginePageReader reader(specs);
    for (int round = 0; round < 2; ++round) {  // start() forgets the page before
      reader.start();
      for (size_t at = 0; at < page.size(); at += size)
        reader.feed(std::string_view(page).substr(at, size));
      const EnginePage read = reader.finish();
      EXPECT_EQ(read.metrics.waiting, 3) << size;
      EXPECT_EQ(read.metrics.running, 4) << size;
      EXPECT_EQ(read.metrics.kv_usage, 0.25) << size;
    }
  }
}

TEST(EnginePageReader, ALineThatIsTooLongIsSkippedAndNotTheNextOne) {
  const PageSpecs specs{{*find_engine_metric_specs("vllm")}, {}};
  const std::string longest = "vllm:num_requests_waiting{x=\"" +
                              std::string(EnginePageReader::kLineBytesMax, 'x') + "\"} 1\n";
  for (const size_t size : {size_t{1000}, size_t{1} << 20}) {
    const std::string page = longest + "vllm:num_requests_running 4\n";
    EnginePageReader reader(specs);
    for (size_t at = 0; at < page.size(); at += size)
      reader.feed(std::string_view(page).substr(at, size));
    const EnginePage read = reader.finish();
    EXPECT_EQ(read.metrics.waiting, std::nullopt);
    EXPECT_EQ(read.metrics.running, 4);
  }
}

TEST(ParseMetricSpec, ReadsNamesWithLabels) {
  const auto spec = parse_metric_spec("a{b=c,d=e}");
  ASSERT_TRUE(spec);
  EXPECT_EQ(spec->name, "a");
  EXPECT_THAT(spec->labels, ElementsAre(std::pair<std::string, std::string>("b", "c"),
                                        std::pair<std::string, std::string>("d", "e")));
  EXPECT_TRUE(parse_metric_spec("a:b"));
  for (const char* bad : {"", "{a=b}", "a{b", "a{b}", "a{=b}", "a b"})
    EXPECT_FALSE(parse_metric_spec(bad)) << bad;
}

}  // namespace
}  // namespace kvasir

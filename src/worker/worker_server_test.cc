// Clients that leave, limits, keys, draining, metrics.
#include <cstdlib>
#include <fstream>
#include <set>

#include "worker/worker_fixture.h"

namespace kvasir {
namespace {

using WorkerServerTest = WorkerFixture;

TEST_F(WorkerServerTest, AClientThatLeavesFreesItsBlocks) {
  WorkerOptions slow = default_options();
  slow.time_scale = 10;
  start_worker(slow);
  for (const char* stream : {"true", "false"}) {
    Call& call =
        begin("POST", "/v1/completions",
              std::string(R"({"prompt":"a","max_tokens":4000,"n":3,"stream":)") + stream + "}");
    run_until([&] { return worker_->stats().num_requests_running == 3; });
    EXPECT_GT(worker_->stats().kv_cache_usage, 0);
    cancel(call);
    run_until([&] { return worker_->stats().num_requests_running == 0; });
    EXPECT_EQ(worker_->stats().kv_cache_usage, 0);
  }
  EXPECT_EQ(*metric("vllm:num_requests_running"), 0);
  EXPECT_EQ(*metric("vllm:num_requests_waiting"), 0);
}

TEST_F(WorkerServerTest, ASlowHeadIsAnswered408) {
  WorkerOptions options = default_options();
  options.limits.head_timeout = std::chrono::milliseconds(20);
  start_worker(options);
  Descriptor socket = start_connect(resolve("127.0.0.1", worker_->port()).value()).socket;
  std::string answer;
  bool sent = false;
  run_until([&] {
    if (!sent) sent = send(socket.get(), "GET /hea", 8, MSG_NOSIGNAL) == 8;
    char buffer[4096];
    const ssize_t count = recv(socket.get(), buffer, sizeof buffer, MSG_DONTWAIT);
    if (count > 0) answer.append(buffer, static_cast<size_t>(count));
    return answer.find("\r\n\r\n") != std::string::npos;
  });
  EXPECT_EQ(answer.substr(0, 12), "HTTP/1.1 408");
  EXPECT_NE(answer.find("\"code\":408"), std::string::npos) << answer;
}

TEST_F(WorkerServerTest, TheKeyGuardsV1Only) {
  WorkerOptions options = default_options();
  options.api_keys = {"other", "secret"};
  start_worker(options);
  EXPECT_EQ(ask("GET", "/v1/models").status, 401);
  EXPECT_EQ(ask("GET", "/v1/models").body, "{\"error\":\"Unauthorized\"}");
  EXPECT_EQ(ask("GET", "/v1/nothing").status, 401);
  EXPECT_EQ(ask("GET", "/v1/models", "", "Authorization: Bearer secret\r\n").status, 200);
  EXPECT_EQ(ask("GET", "/v1/models", "", "Authorization: Bearer secre\r\n").status, 401);
  EXPECT_EQ(ask("GET", "/health").status, 200);
}

TEST_F(WorkerServerTest, DrainingEndsWhatRuns) {
  Call& call = begin("POST", "/v1/completions", R"({"prompt":"a","max_tokens":300,"stream":true})");
  run_until([&] { return worker_->stats().num_requests_running == 1; });
  bool drained = false;
  worker_->drain([&] { drained = true; });
  finish();
  EXPECT_EQ(call.events().size(), 300u);
  client_.reset();
  run_until([&] { return drained; });
}

TEST_F(WorkerServerTest, PriorityGoesFirstWhenSeatsAreFew) {
  WorkerOptions options = default_options();
  options.profile.max_num_seqs = 1;
  options.engine.order = WaitingOrder::kPriority;
  options.time_scale = 20;
  start_worker(options);
  // Long enough that neither ends by itself, however slow the machine is.
  Call& running =
      begin("POST", "/v1/completions", R"({"prompt":"a","max_tokens":4000,"stream":true})");
  run_until([&] { return worker_->stats().num_requests_running == 1; });
  Call& later = begin("POST", "/v1/completions",
                      R"({"prompt":"b","max_tokens":4000,"priority":5,"stream":true})");
  run_until([&] { return worker_->stats().num_requests_waiting == 1; });
  Call& first = begin("POST", "/v1/completions", R"({"prompt":"c","max_tokens":5,"priority":-5})");
  run_until([&] { return worker_->stats().num_requests_waiting == 2; });
  cancel(running);
  run_until([&] { return first.ended; });
  EXPECT_FALSE(later.ended);
  cancel(later);
  finish();
}

TEST_F(WorkerServerTest, MetricsAgreeWithWhatWasAnswered) {
  post("/v1/completions", R"({"prompt":" bab bad","max_tokens":5,"n":2})");
  post("/v1/completions", R"({"prompt":["a","b"],"max_tokens":3})");
  post("/v1/completions", R"({"prompt":"a","allowed_token_ids":[2304]})");
  const std::string page = ask("GET", "/metrics").body;
  const auto value = [&](std::string_view name) { return sum_metric(page, name).value_or(-1); };
  EXPECT_EQ(value("vllm:generation_tokens_total"), 17);
  EXPECT_EQ(value("vllm:time_to_first_token_seconds_count"), 5);
  EXPECT_EQ(value("vllm:inter_token_latency_seconds_count"), 17 - 5);
  EXPECT_EQ(value("vllm:e2e_request_latency_seconds_count"), 5);
  EXPECT_EQ(value("vllm:request_params_n_count"), 4);
  EXPECT_EQ(value("vllm:request_params_n_sum"), 5);
  EXPECT_EQ(value("vllm:request_success_total"), 5);
  EXPECT_EQ(value("vllm:num_requests_running"), 0);
  EXPECT_EQ(value("vllm:kv_cache_usage_perc"), 0);
  EXPECT_EQ(value("vllm:prompt_tokens_by_source_total"), value("vllm:prompt_tokens_total"));
}

// Family and names of labels of each series, without what Python's client library adds.
std::set<std::string> series_of(std::istream& page) {
  std::set<std::string> series;
  for (std::string line; std::getline(page, line);) {
    if (line.compare(0, 5, "vllm:") != 0) continue;
    const auto sample = parse_metric_line(line);
    if (!sample || sample->name.find("_created") != std::string_view::npos) continue;
    std::set<std::string> labels;
    for (const auto& label : sample->labels) labels.insert(std::string(label.first));
    std::string text(sample->name);
    for (const std::string& label : labels) text += " " + label;
    for (const char* name : {"le", "finished_reason", "reason", "source", "sleep_state"}) {
      std::string bound(sample->label(name).value_or(""));
      if (bound.size() > 2 && bound.substr(bound.size() - 2) == ".0")
        bound.resize(bound.size() - 2);
      text += " " + bound;
    }
    series.insert(text);
  }
  return series;
}

// The names that the tutorial's tables of worker metrics list.
constexpr const char* kTutorialNames[] = {
    "vllm_requests_total",          "vllm_request_duration_seconds", "vllm_active_requests",
    "vllm_queue_length",            "vllm_tokens_generated_total",   "vllm_tokens_per_second",
    "vllm_prefill_tokens_total",    "vllm_decode_tokens_total",      "vllm_kv_cache_usage_percent",
    "vllm_kv_cache_hit_rate",       "vllm_kv_cache_size_bytes",      "vllm_gpu_memory_used_bytes",
    "vllm_gpu_utilization_percent", "vllm_gpu_cache_usage_percent",  "vllm_request_latency_p99",
    "vllm_gpu_utilization",         "DCGM_FI_DEV_GPU_UTIL"};

TEST_F(WorkerServerTest, TheTutorialsMetricsAreShownWhenAskedFor) {
  EXPECT_EQ(ask("GET", "/metrics").body.find("vllm_"), std::string::npos);
  WorkerOptions options = default_options();
  options.tutorial_metrics = true;
  start_worker(std::move(options));
  complete(R"({"prompt": "Hello", "max_tokens": 3})");
  const std::string page = ask("GET", "/metrics").body;
  for (const std::string name : kTutorialNames) {
    EXPECT_NE(page.find("# TYPE " + name + " "), std::string::npos) << name;
  }
}

TEST_F(WorkerServerTest, TheTutorialsMetricsTellTheTruth) {
  WorkerOptions options = default_options();
  options.tutorial_metrics = true;
  const EngineProfile profile = options.profile;
  start_worker(std::move(options));
  EXPECT_EQ(ask("GET", "/metrics").body.find("vllm_request_latency_p99"), std::string::npos);
  const std::string prompt(2 * 16 * 4, 'x');  // 128 byte tokens: eight blocks
  const std::string body = R"({"max_tokens": 5, "prompt": ")" + prompt + R"("})";
  complete(body);
  complete(body);
  post("/v1/completions", R"({"prompt": "", "max_tokens": 1})");
  EXPECT_EQ(metric("vllm_requests_total"), 3);
  const std::string page = ask("GET", "/metrics").body;
  EXPECT_NE(page.find("status=\"success\"} 2\n"), std::string::npos);
  EXPECT_NE(page.find("status=\"failure\"} 1\n"), std::string::npos);
  EXPECT_EQ(metric("vllm_request_duration_seconds_count"), 2);
  EXPECT_EQ(metric("vllm_tokens_generated_total"), 10);
  EXPECT_EQ(metric("vllm_decode_tokens_total"), 8);
  EXPECT_EQ(metric("vllm_prefill_tokens_total"), 128 + 16);  // the last block is always computed
  EXPECT_EQ(metric("vllm_kv_cache_hit_rate"), 112.0 / 256);
  EXPECT_EQ(metric("vllm_active_requests"), 0);
  EXPECT_GT(metric("vllm_request_latency_p99").value_or(0), 0.01);
  EXPECT_TRUE(metric("vllm_tokens_per_second")) << "how many: see tutorial_metrics_test.cc";
  EXPECT_EQ(metric("vllm_kv_cache_size_bytes"),
            static_cast<double>(profile.kv_blocks() * profile.block_size) * 262144);
  EXPECT_EQ(metric("vllm_gpu_memory_used_bytes"), 0.9 * 151397597184);
}

TEST_F(WorkerServerTest, SizesThatNobodyKnowsAreAbsent) {
  WorkerOptions options = default_options();
  options.tutorial_metrics = true;
  options.profile.kv_bytes_per_token = options.profile.gpu_memory_bytes = 0;
  start_worker(std::move(options));
  const std::string page = ask("GET", "/metrics").body;
  EXPECT_EQ(page.find("vllm_kv_cache_size_bytes"), std::string::npos);
  EXPECT_EQ(page.find("vllm_gpu_memory_used_bytes"), std::string::npos);
}

TEST_F(WorkerServerTest, AdaptersAnswerUnderTheirOwnNames) {
  EXPECT_EQ(ask("GET", "/metrics").body.find("lora_requests_info"), std::string::npos);
  WorkerOptions options = default_options();
  options.model.adapters = {{"tuned", "/adapters/tuned", ""}, {"other", "/adapters/other", "base"}};
  options.model.lora = true;
  options.model.adapters_most = 4;
  start_worker(std::move(options));
  const Json models = ask("GET", "/v1/models").json();
  ASSERT_EQ(models["data"].size(), 3u);
  EXPECT_EQ(models["data"][1]["id"], "tuned");
  EXPECT_EQ(models["data"][1]["parent"], "sim");
  EXPECT_EQ(models["data"][2]["parent"], "base");
  const Json plain = complete(R"({"prompt": "Hello there", "max_tokens": 4})");
  const Json tuned = complete(R"({"model": "tuned", "prompt": "Hello there", "max_tokens": 4})");
  EXPECT_EQ(plain["model"], "sim");
  EXPECT_EQ(tuned["model"], "tuned");
  EXPECT_EQ(post("/v1/completions", R"({"model": "none", "prompt": "Hello"})").status, 404);
  EXPECT_NE(ask("GET", "/metrics").body.find("vllm:lora_requests_info{max_lora=\"4\",running_lora_"
                                             "adapters=\"\",waiting_lora_adapters=\"\"} "),
            std::string::npos);
  Call& call = begin("POST", "/v1/completions",
                     R"({"model": "tuned", "prompt": "Hello", "max_tokens": 4000, "stream": true})");
  run_until([&] { return call.body.size() > 100; });
  const std::string page = [&] {
    Call& metrics = begin("GET", "/metrics");
    run_until([&] { return metrics.ended; });
    return metrics.body;
  }();
  EXPECT_NE(page.find("running_lora_adapters=\"tuned\",waiting"), std::string::npos);
  cancel(call);
}

TEST_F(WorkerServerTest, EverySeriesOfVllmIsThere) {
  const char* source = std::getenv("KVASIR_SOURCE_DIR");
  std::ifstream recorded(std::string(source == nullptr ? "." : source) + "/tests/vllm/metrics.txt");
  ASSERT_TRUE(recorded);
  std::istringstream ours(ask("GET", "/metrics").body);
  const std::set<std::string> present = series_of(ours);
  size_t count = 0;
  for (const std::string& series : series_of(recorded)) {
    ++count;
    EXPECT_EQ(present.count(series), 1u) << series;
  }
  EXPECT_GT(count, 300u);
}

}  // namespace
}  // namespace kvasir

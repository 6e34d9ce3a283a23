// A worker whose blocks travel, by HTTP, with a connector that does what the test says.
#include "worker/kv_transfers.h"

#include <gmock/gmock.h>

#include "worker/scripted_connector_fixture.h"
#include "worker/worker_fixture.h"

namespace kvasir {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;

constexpr std::string_view kPrefill = R"({"do_remote_decode":true})";
constexpr std::string_view kDecode =
    R"({"do_remote_prefill" : true,"remote_engine_id":"e","big":18446744073709551615})";

// 100 tokens: six full blocks of 16.
std::string completion(std::string_view params, const std::string& more = {}) {
  std::string tokens;
  for (int i = 0; i < 100; ++i) tokens.append(i == 0 ? "" : ",").append(std::to_string(i + 300));
  return R"({"prompt":[)" + tokens + R"(],"max_tokens":2,"kv_transfer_params": )" +
         std::string(params) + more + "}";
}

class KvTransfersTest : public WorkerFixture {
 protected:
  KvTransfersTest() { connect(); }

  void connect(bool recompute = false, WorkerOptions options = default_options()) {
    start_worker(std::move(options));
    auto made = std::make_unique<ScriptedConnector>(worker_->kv_owner());
    connector_ = made.get();
    worker_->set_connector(std::move(made), recompute, true);
  }
  KvConnector::Owner& owner() { return worker_->kv_owner(); }
  Call& begin_completion(const std::string& body, const std::string& fields = {}) {
    return begin("POST", "/v1/completions", body, fields);
  }
  Call& begin_prefill() {
    connector_->next_plan = {0, true};
    return begin_completion(completion(kPrefill));
  }
  Call& begin_decode(const std::string& more = {}) {
    connector_->next_plan = {6, false};
    return begin_completion(completion(kDecode, more));
  }
  void wait_for_fetch() {
    run_until([this] { return !connector_->fetches.empty(); });
  }
  void wait_for_offer() {
    run_until([this] { return !connector_->offers.empty(); });
  }
  // Unlike ask(), does not wait for other requests.
  const Call& ask_meanwhile(const std::string& path) {
    const Call& call = begin("GET", path);
    run_until([&call] { return call.ended; });
    return call;
  }
  // The loop has nothing more to do for what happened.
  void settle() { EXPECT_EQ(ask_meanwhile("/health").status, 200); }
  // `label`: of the one that is meant, where the name has several.
  std::optional<double> metric(const std::string& name, const std::string& label = {}) {
    const std::string page = ask_meanwhile("/metrics").body;
    if (label.empty()) return sum_metric(page, name);
    for (size_t at = page.find("\n" + name + "{"); at != std::string::npos;
         at = page.find("\n" + name + "{", at + 1)) {
      const std::string line = page.substr(at + 1, page.find('\n', at + 1) - at - 1);
      if (line.find(label) != std::string::npos) return std::stod(line.substr(line.rfind(' ')));
    }
    return std::nullopt;
  }
  // The client leaves, and the connector has heard of it.
  void leave(Call& call) {
    const size_t forgotten = connector_->forgotten.size();
    cancel(call);
    for (int i = 0; i < 1000 && connector_->forgotten.size() == forgotten; ++i) settle();
  }
  double blocks_in_use() { return worker_->stats().kv_cache_usage; }

  ScriptedConnector* connector_ = nullptr;
};

TEST_F(KvTransfersTest, AnOfferComesWithTheAnswer) {
  Call& call = begin_prefill();
  wait_for_offer();
  settle();
  EXPECT_FALSE(call.ended) << "the answer waits for the offer";
  ASSERT_THAT(connector_->offers, SizeIs(1));
  EXPECT_THAT(connector_->offers[0].blocks, SizeIs(6));
  owner().on_offered(connector_->last, R"({"do_remote_prefill":true,"n":1})");
  finish();
  EXPECT_EQ(call.status, 200);
  EXPECT_THAT(call.body, HasSubstr(R"("kv_transfer_params":{"do_remote_prefill":true,"n":1})"));
  EXPECT_EQ(call.json()["choices"][0]["finish_reason"], "length");
  EXPECT_GT(blocks_in_use(), 0);
  owner().on_released(connector_->last);
  EXPECT_EQ(blocks_in_use(), 0);
  EXPECT_THAT(connector_->forgotten, IsEmpty());
}

TEST_F(KvTransfersTest, TheConnectorSeesTheRequestAsItWasSent) {
  connector_->next_plan = {};
  begin_completion(completion(kDecode), "X-Request-Id: ___prefill_addr_a:1___\r\n");
  finish();
  ASSERT_THAT(connector_->planned, SizeIs(1));
  EXPECT_EQ(connector_->planned[0].id, "cmpl-___prefill_addr_a:1___");
  EXPECT_EQ(connector_->planned[0].params, kDecode);
  EXPECT_EQ(connector_->planned[0].prompt, 100u);
  EXPECT_EQ(connector_->planned[0].blocks, 6u);
}

TEST_F(KvTransfersTest, NothingSaidIsNothingAsked) {
  for (const char* params : {"null", "{}", " { } "}) {
    begin_completion(completion(params));
    finish();
    EXPECT_EQ(connector_->planned.back().params, "") << params;
  }
  EXPECT_EQ(post("/v1/completions", completion("[1]")).status, 400);
  EXPECT_THAT(post("/v1/completions", completion("7")).body,
              HasSubstr("Input should be a valid dictionary"));
}

TEST_F(KvTransfersTest, BlocksArriveBeforeTheAnswerIsMade) {
  Call& call = begin_decode();
  wait_for_fetch();
  settle();
  EXPECT_FALSE(call.ended);
  EXPECT_EQ(connector_->fetches[0].first, 0u);
  EXPECT_THAT(connector_->fetches[0].blocks, SizeIs(6));
  EXPECT_EQ(metric("vllm:num_requests_waiting"), 1);
  connector_->records = {{4096, 24, std::chrono::microseconds(1), std::chrono::microseconds(2)}};
  owner().on_fetched(connector_->last, {6, ""});
  finish();
  EXPECT_EQ(call.json()["usage"]["prompt_tokens_details"]["cached_tokens"], 96);
  EXPECT_EQ(metric("vllm:external_prefix_cache_hits_total"), 96);
  EXPECT_EQ(metric("vllm:external_prefix_cache_queries_total"), 100);
  EXPECT_EQ(metric("vllm:prompt_tokens_by_source_total", "source=\"external_kv_transfer\""), 96);
  EXPECT_EQ(metric("vllm:prompt_tokens_by_source_total", "source=\"local_compute\""), 4);
  EXPECT_EQ(metric("vllm:prompt_tokens_cached_by_source_total", "source=\"p2p\""), 96);
  EXPECT_EQ(metric("vllm:nixl_bytes_transferred_sum"), 4096);
  EXPECT_EQ(metric("vllm:nixl_num_descriptors_count"), 1);
  EXPECT_EQ(blocks_in_use(), 0);
}

TEST_F(KvTransfersTest, MetricsHaveTheNamesAndEdgesOfVllm) {
  const auto edges = [page = ask_meanwhile("/metrics").body](const std::string& name) {
    std::string list;
    for (size_t at = page.find("\n" + name + "_bucket{"); at != std::string::npos;
         at = page.find("\n" + name + "_bucket{", at + 1)) {
      const size_t begin = page.find("le=\"", at) + 4;
      list.append(list.empty() ? "" : " ").append(page, begin, page.find('"', begin) - begin);
    }
    return list;
  };
  EXPECT_EQ(edges("vllm:nixl_xfer_time_seconds"),
            "0.005 0.01 0.025 0.05 0.075 0.1 0.2 0.3 0.5 0.75 1 5 +Inf");
  EXPECT_EQ(edges("vllm:nixl_post_time_seconds"),
            "0.001 0.005 0.01 0.025 0.05 0.075 0.1 0.2 0.3 0.5 0.75 1 5 +Inf");
  EXPECT_EQ(edges("vllm:nixl_bytes_transferred"),
            "2048 8192 32768 131072 524288 2.097152e+06 8.388608e+06 3.3554432e+07 "
            "1.34217728e+08 5.36870912e+08 2.147483648e+09 8.589934592e+09 +Inf");
  EXPECT_EQ(edges("vllm:nixl_num_descriptors"),
            "10 20 30 50 75 100 200 400 1000 2000 4000 10000 20000 50000 +Inf");
  connector_->totals = {.failed_transfers = 2,
                        .failed_notifications = 3,
                        .expired_requests = 4,
                        .late_notifications = 5,
                        .offers = 6};
  EXPECT_EQ(metric("vllm:nixl_num_failed_transfers_total"), 5) << "as vLLM counts them";
  EXPECT_EQ(metric("vllm:nixl_num_failed_notifications_total"), 3);
  EXPECT_EQ(metric("vllm:nixl_num_kv_expired_reqs_total"), 4);
  EXPECT_EQ(metric("vllm:nixl_num_notifications_after_expiry_total"), 5);
  EXPECT_EQ(metric("kvasir_kv_offers"), 6);
}

TEST_F(KvTransfersTest, TheUsageTellsWhatThePrefillerFound) {
  connector_->next_plan = {};
  const std::string params = R"({"do_remote_prefill":true,"remote_prefill_cached_tokens":48})";
  EXPECT_EQ(complete(completion(params))["usage"]["prompt_tokens_details"]["cached_tokens"], 48);
  const std::string own = R"({"do_remote_decode":true,"remote_prefill_cached_tokens":48})";
  EXPECT_EQ(complete(completion(own))["usage"]["prompt_tokens_details"]["cached_tokens"], 96);
}

TEST_F(KvTransfersTest, ALoadThatFailsEndsTheRequest) {
  Call& call = begin_decode();
  wait_for_fetch();
  owner().on_fetched(connector_->last, {0, "the prefiller is gone"});
  finish();
  EXPECT_EQ(call.status, 500);
  EXPECT_EQ(call.body,
            R"({"error":{"message":"Internal server error","type":"InternalServerError",)"
            R"("param":null,"code":500}})");
  EXPECT_EQ(metric("vllm:request_success_total", "finished_reason=\"error\""), 1);
  EXPECT_EQ(metric("http_requests_total", "status=\"5xx\""), 1);
  EXPECT_EQ(blocks_in_use(), 0);
  EXPECT_EQ(complete(completion("null"))["usage"]["completion_tokens"], 2) << "it serves on";
}

TEST_F(KvTransfersTest, AStreamWhoseLoadFailsSaysSo) {
  Call& call = begin_decode(R"(,"stream":true)");
  wait_for_fetch();
  owner().on_fetched(connector_->last, {0, "the prefiller is gone"});
  finish();
  EXPECT_EQ(call.status, 200);
  ASSERT_THAT(call.events(), SizeIs(1));
  EXPECT_EQ(call.events()[0]["error"]["code"], 500);
}

TEST_F(KvTransfersTest, OrThePromptIsComputedHere) {
  connect(true);
  Call& call = begin_decode();
  wait_for_fetch();
  owner().on_fetched(connector_->last, {2, "the prefiller is gone"});
  finish();
  EXPECT_EQ(call.status, 200);
  EXPECT_EQ(call.json()["usage"]["prompt_tokens_details"]["cached_tokens"], 32);
}

TEST_F(KvTransfersTest, APlanMayRefuseTheRequest) {
  connector_->refusal = "remote_port is not a port";
  const Call& whole = post("/v1/completions", completion(kDecode));
  EXPECT_EQ(whole.status, 400);
  EXPECT_THAT(whole.body, HasSubstr(R"("message":"remote_port is not a port")"));
  const Call& stream = post("/v1/completions", completion(kDecode, R"(,"stream":true)"));
  ASSERT_THAT(stream.events(), SizeIs(1));
  EXPECT_EQ(stream.events()[0]["error"]["code"], 400);
  EXPECT_EQ(blocks_in_use(), 0);
}

TEST_F(KvTransfersTest, AStreamOffersAndDoesNotTell) {
  connector_->next_plan = {0, true};
  Call& call = begin_completion(completion(kPrefill, R"(,"stream":true)"));
  wait_for_offer();
  settle();
  EXPECT_FALSE(call.ended);
  owner().on_offered(connector_->last, R"({"n":1})");
  finish();
  EXPECT_EQ(call.body.find("kv_transfer_params"), std::string::npos);
  EXPECT_THAT(call.body, HasSubstr("[DONE]"));
}

TEST_F(KvTransfersTest, OneChoiceOfAPromptTravelsForAll) {
  Call& call = begin_decode(R"(,"n":3)");
  wait_for_fetch();
  settle();
  EXPECT_EQ(metric("vllm:num_requests_waiting"), 1) << "the others wait for the blocks";
  owner().on_fetched(connector_->last, {6, ""});
  finish();
  EXPECT_THAT(call.json()["choices"], SizeIs(3));
  EXPECT_THAT(connector_->fetches, SizeIs(1));
  EXPECT_EQ(metric("vllm:prefix_cache_hits_total"), 2 * 96);
}

TEST_F(KvTransfersTest, OnlyTheFirstPromptMayUseWhatTheClientSays) {
  connector_->next_plan = {0, true};
  const std::string body =
      R"({"prompt":["one two three","four five six"],"max_tokens":1,"kv_transfer_params":{"a":1}})";
  Call& call = begin_completion(body, "X-Request-Id: r\r\n");
  wait_for_offer();
  ASSERT_THAT(connector_->planned, SizeIs(2));
  EXPECT_EQ(connector_->planned[0].id, "cmpl-r");
  EXPECT_EQ(connector_->planned[0].params, R"({"a":1})");
  EXPECT_EQ(connector_->planned[1].id, "");
  EXPECT_EQ(connector_->planned[1].params, "");
  owner().on_offered(connector_->offers[0].request, R"({"b":2})");
  finish();
  EXPECT_EQ(call.json()["kv_transfer_params"].dump(), R"({"b":2})");
}

TEST_F(KvTransfersTest, WhoRefusesARequestTellsWhoHoldsItsBlocks) {
  const std::string body = completion(kDecode, R"(,"min_tokens":9)");
  const Call& call = post("/v1/completions", body);
  EXPECT_EQ(call.status, 400);
  EXPECT_THAT(call.body, HasSubstr("min_tokens must be less than or equal to max_tokens=2, got 9"));
  ASSERT_THAT(connector_->planned, SizeIs(1));
  EXPECT_EQ(connector_->planned[0].params, kDecode);
  EXPECT_THAT(connector_->forgotten, ElementsAre(connector_->last));
}

TEST_F(KvTransfersTest, APrefillThatStopsBeforeItsLimitOffersNothing) {
  connector_->next_plan = {0, true};
  const std::string stop = R"(,"stop":[" "],"max_tokens":50)";
  Call& call = begin_completion(completion(kPrefill, stop));
  finish();
  EXPECT_EQ(call.json()["choices"][0]["finish_reason"], "stop");
  EXPECT_TRUE(call.json()["kv_transfer_params"].is_null());
  EXPECT_THAT(connector_->offers, IsEmpty());
  EXPECT_THAT(connector_->forgotten, ElementsAre(connector_->last));
  EXPECT_EQ(blocks_in_use(), 0);
}

class LeavingClientTest : public KvTransfersTest {};

TEST_F(LeavingClientTest, WhileThePlanIsMade) {
  connector_->answers_plans = false;
  Call& call = begin_decode();
  run_until([this] { return !connector_->planned.empty(); });
  leave(call);
  EXPECT_THAT(connector_->forgotten, ElementsAre(connector_->last));
  owner().on_planned(connector_->last, KvPlan{6, false});
  settle();
  EXPECT_THAT(connector_->fetches, IsEmpty());
}

TEST_F(LeavingClientTest, WhileItWaitsForRoom) {
  WorkerOptions options = default_options();
  options.profile.kv_tokens = 16 * 10;  // one of them and no more
  options.profile.max_model_len = 160;
  options.model.max_model_len = 160;
  connect(false, std::move(options));
  begin_prefill();
  wait_for_offer();
  const KvRequestId held = connector_->last;
  connector_->next_plan = {6, false};
  const std::string other = R"({"prompt":[)" + std::string("9") + [] {
    std::string tokens;
    for (int i = 0; i < 110; ++i) tokens += ",7";
    return tokens;
  }() + R"(],"max_tokens":2,"kv_transfer_params":{"a":1}})";
  Call& waiting = begin_completion(other);
  run_until([this] { return connector_->planned.size() == 2; });
  leave(waiting);
  EXPECT_THAT(connector_->forgotten, ElementsAre(connector_->last));
  EXPECT_THAT(connector_->fetches, IsEmpty());
  owner().on_offered(held, "");
  owner().on_released(held);
  finish();
  EXPECT_EQ(blocks_in_use(), 0);
}

TEST_F(LeavingClientTest, WhileBlocksArrive) {
  Call& call = begin_decode();
  wait_for_fetch();
  leave(call);
  EXPECT_THAT(connector_->forgotten, ElementsAre(connector_->last));
  EXPECT_GT(blocks_in_use(), 0) << "somebody still writes to them";
  owner().on_fetched(connector_->last, {3, "given up"});
  settle();
  EXPECT_EQ(blocks_in_use(), 0);
}

TEST_F(LeavingClientTest, WhileBlocksArriveAndAreUsed) {
  Call& call = begin_decode();
  wait_for_fetch();
  owner().on_fetching(connector_->last);
  settle();
  leave(call);
  EXPECT_GT(blocks_in_use(), 0);
  owner().on_fetched(connector_->last, {6, ""});
  run_until([this] { return blocks_in_use() == 0; });
  EXPECT_EQ(complete(completion("null"))["usage"]["completion_tokens"], 2) << "it serves on";
}

TEST_F(LeavingClientTest, WhileItIsComputed) {
  connector_->next_plan = {0, true};
  WorkerOptions options = default_options();
  options.time_scale = 1;
  connect(false, std::move(options));
  connector_->next_plan = {0, true};
  Call& call = begin_completion(completion(kPrefill, R"(,"max_tokens":3000)"));
  run_until([this] { return worker_->stats().num_requests_running > 0; });
  leave(call);
  EXPECT_THAT(connector_->forgotten, ElementsAre(connector_->last));
  run_until([this] { return blocks_in_use() == 0; });
  EXPECT_THAT(connector_->offers, IsEmpty());
}

TEST_F(LeavingClientTest, WhileItsBlocksAreOffered) {
  Call& call = begin_prefill();
  wait_for_offer();
  leave(call);
  EXPECT_THAT(connector_->forgotten, ElementsAre(connector_->last));
  EXPECT_GT(blocks_in_use(), 0) << "they may be read";
  owner().on_released(connector_->last);
  settle();
  EXPECT_EQ(blocks_in_use(), 0);
}

TEST_F(KvTransfersTest, ADrainWaitsUntilNobodyIsToFetchAnyMore) {
  Call& call = begin_prefill();
  wait_for_offer();
  owner().on_offered(connector_->last, "{}");
  finish();
  EXPECT_EQ(call.status, 200);
  bool drained = false;
  worker_->drain([&] { drained = true; });
  int turns = 0;
  run_until([&] { return ++turns > 20; });
  EXPECT_FALSE(drained);
  owner().on_released(connector_->last);
  EXPECT_TRUE(drained);
}

}  // namespace
}  // namespace kvasir

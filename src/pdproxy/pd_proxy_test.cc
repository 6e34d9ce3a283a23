#include "pdproxy/pd_proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <set>

#include "legs/leg_worker_fixture.h"
#include "net/http/http_fixture.h"
#include "vllm/request_body.h"
#include "wire/kv_transfer/p2p_request_id.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr, ::testing::Not, ::testing::StartsWith;

constexpr std::string_view kPdEvents = "data: {\"a\":1}\n\ndata: [DONE]\n\n";
const std::string kPrompt = R"({"model":"m","prompt":"Hello","max_tokens":5})";

class PdTold final : public PdProxyProbe {
 public:
  void on_done(const PdReport& report) override {
    ++done;
    status = report.legs.status;
    is_cut = report.legs.is_cut;
    is_long = report.is_long;
    leg_id = report.leg_id;
    prefiller = report.legs.prefiller;
    decoder = report.legs.decoder;
    path = report.legs.handoff == nullptr ? std::nullopt : std::optional(report.legs.handoff->path);
  }
  void on_refused(int, std::string_view why) override { refused = why; }
  void on_prefill_ended(const PdWorker& worker, LegsObserver::End end) override {
    ends.emplace_back(worker.name, end);
  }
  void on_decoder_failed(const PdWorker& worker) override { failed_decoder = worker.name; }
  void on_heard(PdWorkers::Heard what, const P2pRegistration&) override { heard.push_back(what); }
  void on_malformed(std::string_view why) override { malformed.emplace_back(why); }
  void on_expired(const PdWorker& worker) override { expired = worker.name; }
  std::string page(const PdWorkers&, size_t, TimePoint) override { return "own 1\n"; }

  int done = 0, status = 0;
  bool is_cut = false, is_long = false;
  std::string leg_id, prefiller, decoder, refused, failed_decoder, expired;
  std::optional<HandoffReport::Path> path;
  std::vector<std::pair<std::string, LegsObserver::End>> ends;
  std::vector<PdWorkers::Heard> heard;
  std::vector<std::string> malformed;
};

class PdProxyTest : public ::testing::Test {
 protected:
  void SetUp() override {
    options_.prefill = {{prefill_.host_port(), "vllm-prefill-fs"}};
    options_.decode = {{decode_.host_port(), "vllm-decode-fs"}};
    prefill_.answer = R"({"id":"x","choices":[]})";
    decode_.answer = R"({"text":"t"})";
  }
  void use_p2p() {
    options_.backend = PdBackend::kP2p;
    options_.handoff.dialect = KvDialect::kP2p;
    options_.prefill.front().name = "vllm-prefill-p2p:14579";
    options_.decode.front().name = "vllm-decode-p2p:14579";
  }
  void start() {
    options_.host = "127.0.0.1";
    options_.port = 0;
    options_.server.half_close_patience = std::chrono::milliseconds(10);
    proxy_ = std::move(PdProxy::create(*loop_, options_, told_).value());
    client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", proxy_->port()).value());
  }
  Recorder ask(std::string_view method, std::string_view target, std::string_view fields,
               std::string_view body = {}) {
    return kvasir::ask(*loop_, *client_, method, target, fields, body);
  }
  Recorder complete(std::string_view body = kPrompt) {
    return ask("POST", "/v1/completions", "", body);
  }
  template <class Condition>
  void until(const Condition& done) {
    while (!done()) {
      loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
    }
  }
  HostPort nobody() {
    const Descriptor socket = std::move(listen_tcp("127.0.0.1", 0, false).value());
    return {"127.0.0.1", local_port(socket)};
  }

  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  LegWorkerFixture prefill_{*loop_}, decode_{*loop_}, other_{*loop_};
  PdTold told_;
  PdProxyOptions options_;
  std::unique_ptr<PdProxy> proxy_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(PdProxyTest, ThePromptIsPrefilledByTheOneAndDecodedByTheOther) {
  start();
  decode_.streams = true;
  decode_.answer = kPdEvents;
  const std::string body =
      R"({"model":"m", "prompt":"p","stream":true,"stream_options":{"include_usage":true},)"
      R"("max_tokens":5,"min_tokens":3,"seed":9007199254740993})";
  const Recorder answer =
      ask("POST", "/v1/completions?x=1", "Authorization: Bearer t\r\nX-Request-Id: mine\r\n", body);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, kPdEvents);
  EXPECT_EQ(prefill_.line, "POST /v1/completions?x=1");
  EXPECT_EQ(prefill_.body,
            R"({"model":"m", "prompt":"p","stream":false,"max_tokens":1,"min_tokens":1,)"
            R"("seed":9007199254740993})");
  EXPECT_EQ(decode_.body, body);
  const std::string id = decode_.field("x-request-id");
  EXPECT_THAT(id, StartsWith("___prefill_addr_vllm-prefill-fs___decode_addr_vllm-decode-fs_"));
  EXPECT_EQ(p2p_pair(id)->unique.size(), 32u);
  EXPECT_EQ(prefill_.field("x-request-id"), id) << "both legs have one id";
  EXPECT_EQ(told_.leg_id, id);
  EXPECT_EQ(told_.prefiller, "vllm-prefill-fs");
  EXPECT_EQ(told_.decoder, "vllm-decode-fs");
  EXPECT_EQ(prefill_.field("authorization"), "Bearer t");
  EXPECT_EQ(decode_.field("authorization"), "Bearer t");
}

TEST_F(PdProxyTest, P2pIdsHaveTheSocketsOfBothWorkers) {
  use_p2p();
  start();
  std::set<std::string> ids;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(complete().status, 200);
    const std::string id = decode_.field("x-request-id");
    EXPECT_EQ(p2p_prefill_address("cmpl-" + id + "-0")->host, "vllm-prefill-p2p");
    EXPECT_EQ(p2p_decode_address("cmpl-" + id + "-0"), (P2pAddress{"vllm-decode-p2p", 14579}));
    EXPECT_EQ(prefill_.field("x-request-id"), id);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 3u) << "each is used once";
}

// What a decode worker with a P2pNcclConnector is given alone, it waits for for ever.
TEST_F(PdProxyTest, P2pSendsNoPromptToADecodeWorkerAlone) {
  use_p2p();
  start();
  for (const char* path : {"/v1/responses", "/generate", "/v1/embeddings", "/invocations"}) {
    EXPECT_EQ(ask("POST", path, "", R"({"input":"p","prompt":"p"})").status, 501) << path;
  }
  EXPECT_EQ(decode_.requests, 0);
  EXPECT_EQ(ask("POST", "/tokenize", "", kPrompt).status, 200);
  EXPECT_EQ(ask("GET", "/v1/models", "").status, 200);
  EXPECT_EQ(decode_.line, "GET /v1/models");
  prefill_.status = 503;
  EXPECT_EQ(complete().status, 503);
  EXPECT_EQ(decode_.requests, 2);
}

TEST_F(PdProxyTest, ErrorsOfWorkersArePassedOn) {
  start();
  for (const int status : {400, 404, 422, 429, 500, 503}) {
    prefill_.status = status;
    prefill_.answer = "why " + std::to_string(status);
    prefill_.content_type = "text/x-why";
    prefill_.more_fields = "Retry-After: 7\r\n";
    const Recorder answer = complete();
    EXPECT_EQ(answer.status, status);
    EXPECT_EQ(answer.body, prefill_.answer);
  }
  EXPECT_EQ(decode_.requests, 0);
  prefill_.status = 200;
  decode_.status = 418;
  decode_.answer = "tea";
  EXPECT_EQ(complete().status, 418);
  EXPECT_EQ(told_.path, HandoffReport::Path::kTwoLegs);
}

TEST_F(PdProxyTest, TheNextPrefillerIsAskedAndTheDeadOneAvoided) {
  options_.prefill.insert(options_.prefill.begin(), {nobody(), "dead"});
  start();
  EXPECT_EQ(complete().status, 200);
  ASSERT_EQ(told_.ends.size(), 2u);
  EXPECT_EQ(told_.ends[0], std::make_pair(std::string("dead"), LegsObserver::End::kFailed));
  EXPECT_THAT(decode_.field("x-request-id"), HasSubstr("___prefill_addr_vllm-prefill-fs___"))
      << "the one that did it";
  for (int i = 0; i < 3; ++i) complete();
  EXPECT_EQ(told_.ends.size(), 5u) << "the dead one is not asked";
}

TEST_F(PdProxyTest, WithoutAnyPrefillerThePolicyDecides) {
  options_.prefill = {{nobody(), "dead"}};
  start();
  const Recorder refused = complete();
  EXPECT_EQ(refused.status, 502);
  EXPECT_THAT(refused.body, HasSubstr(R"("type":"prefill_upstream_error")"));
  options_.handoff.on_prefill_failure = HandoffOptions::OnPrefillFailure::kLocalDecode;
  start();
  EXPECT_EQ(complete().status, 200);
  EXPECT_EQ(told_.path, HandoffReport::Path::kLocal);
  EXPECT_EQ(decode_.body, kPrompt);
  EXPECT_THAT(decode_.field("x-request-id"), Not(HasSubstr("prefill_addr"))) << "nobody did";
}

// Any decoder finds the folder; a P2pNcclConnector's blocks went to the one that the id names.
TEST_F(PdProxyTest, AnotherDecoderTakesOverWhereItCanHaveTheBlocks) {
  options_.decode.insert(options_.decode.begin(), {nobody(), "dead"});
  start();
  EXPECT_EQ(complete().status, 200);
  EXPECT_EQ(told_.failed_decoder, "dead");
  EXPECT_EQ(told_.decoder, "vllm-decode-fs");
  EXPECT_EQ(prefill_.requests, 1) << "a prefill is paid for once";
  EXPECT_THAT(decode_.field("x-request-id"), HasSubstr("___decode_addr_vllm-decode-fs_"));
  use_p2p();
  options_.decode.back().name = "vllm-decode-p2p:14579";
  options_.decode.front().name = "dead:1";
  start();
  const Recorder answer = complete();
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr(R"("type":"decode_upstream_error")"));
  EXPECT_EQ(complete().status, 200) << "the dead one is avoided now";
}

TEST_F(PdProxyTest, AnAnswerThatBreaksIsCut) {
  start();
  decode_.streams = decode_.breaks = true;
  decode_.answer = "data: {}\n\n";
  const Recorder answer = complete();
  EXPECT_EQ(answer.body, "data: {}\n\n");
  EXPECT_TRUE(answer.failure.has_value()) << "no end that the decoder did not send";
  EXPECT_TRUE(told_.is_cut);
  EXPECT_EQ(told_.failed_decoder, "vllm-decode-fs");
}

TEST_F(PdProxyTest, AClientThatLeavesEndsBothLegs) {
  start();
  prefill_.holds = decode_.holds = true;
  for (LegWorkerFixture* worker : {&prefill_, &decode_}) {
    RawClient client(proxy_->port());
    client.send(
        "POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 14\r\n\r\n"
        "{\"prompt\":\"p\"}");
    until([&] { return worker->requests == 1; });
    const int done = told_.done;
    client.close();
    until([&] { return worker->left == 1 && told_.done > done; });
    EXPECT_EQ(told_.status, 499);
    prefill_.holds = false;
    prefill_.requests = 0;
  }
  EXPECT_EQ(proxy_->workers().list().front().worker->legs, 0u);
}

TEST_F(PdProxyTest, PromptsThatTheStoreWouldCutAreRefusedOrDecodedAlone) {
  options_.fs_prompt_tokens_max = 600;
  start();
  const std::string text(800, 'a');
  const std::string body = R"({"model":"m","prompt":")" + text + "\"}";
  prefill_.pages["/tokenize"] = R"({"count":600,"max_model_len":4096,"tokens":[]})";
  EXPECT_EQ(complete(body).status, 200);
  EXPECT_EQ(told_.path, HandoffReport::Path::kTwoLegs) << "as many as one step takes";
  prefill_.pages["/tokenize"] = R"({"count":601,"max_model_len":4096,"tokens":[]})";
  const Recorder refused = complete(body);
  EXPECT_EQ(refused.status, 400);
  EXPECT_THAT(refused.body, HasSubstr("601"));
  EXPECT_THAT(refused.body, HasSubstr("--fs-max-prompt-tokens"));
  EXPECT_EQ(prefill_.requests, 1);
  prefill_.pages["/tokenize"] = "what?";
  EXPECT_EQ(complete(body).status, 400) << "what nobody can count is too long";
  options_.on_long_prompt = PdProxyOptions::OnLongPrompt::kDecodeAlone;
  start();
  EXPECT_EQ(complete(body).status, 200);
  EXPECT_TRUE(told_.is_long);
  EXPECT_EQ(prefill_.requests, 1) << "nothing is transferred";
  EXPECT_EQ(decode_.body, body);
  prefill_.pages.clear();
  prefill_.status = 500;
  const Recorder uncounted = complete(body);
  EXPECT_EQ(uncounted.status, 502);
  EXPECT_THAT(uncounted.body, HasSubstr("could not be counted"));
}

TEST_F(PdProxyTest, AClientMayLeaveWhileItsPromptIsCounted) {
  options_.fs_prompt_tokens_max = 600;
  start();
  prefill_.holds = true;
  RawClient client(proxy_->port());
  const std::string body = R"({"prompt":")" + std::string(800, 'a') + "\"}";
  client.send("POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: " +
              std::to_string(body.size()) + "\r\n\r\n" + body);
  until([&] { return prefill_.requests == 1; });
  EXPECT_EQ(prefill_.line, "POST /tokenize");
  client.close();
  until([&] { return prefill_.left == 1; });
}

// Sums of queues, the fuller cache; a worker that does not answer costs only its own part.
TEST_F(PdProxyTest, TheMetricsPageIsThePairs) {
  options_.engine_page_timeout = std::chrono::milliseconds(200);
  options_.decode.push_back({nobody(), "dead"});
  options_.decode.push_back({other_.host_port(), "silent"});
  other_.holds = true;
  start();
  prefill_.pages["/metrics"] =
      "vllm:num_requests_running{model_name=\"m\",engine=\"0\"} 2\n"
      "vllm:num_requests_waiting{model_name=\"m\",engine=\"0\"} 3\n"
      "vllm:kv_cache_usage_perc{model_name=\"m\",engine=\"0\"} 0.25\n";
  decode_.pages["/metrics"] =
      "vllm:num_requests_running{model_name=\"m\",engine=\"0\"} 5\n"
      "vllm:num_requests_waiting{model_name=\"m\",engine=\"0\"} 1\n"
      "vllm:kv_cache_usage_perc{model_name=\"m\",engine=\"0\"} 0.75\n";
  const std::string page = ask("GET", "/metrics", "").body;
  EXPECT_THAT(page, StartsWith("own 1\n"));
  EXPECT_THAT(page, HasSubstr("\nvllm:num_requests_running 7\n"));
  EXPECT_THAT(page, HasSubstr("\nvllm:num_requests_waiting 4\n"));
  EXPECT_THAT(page, HasSubstr("\nvllm:kv_cache_usage_perc 0.75\n"));
  EXPECT_THAT(page, HasSubstr("\nkvasir_pd_proxy_engines_unread 2\n"));
  prefill_.pages.clear();
  decode_.pages.clear();
  EXPECT_THAT(ask("GET", "/metrics", "").body, Not(HasSubstr("vllm:"))) << "absent, never 0";
}

TEST_F(PdProxyTest, LivenessIsItsOwnAndReadinessTheWorkers) {
  start();
  EXPECT_EQ(ask("GET", "/health", "").status, 200);
  decode_.status = 503;
  EXPECT_EQ(ask("GET", "/health", "").status, 200);
  const Recorder unready = ask("GET", "/ready", "");
  EXPECT_EQ(unready.status, 503);
  EXPECT_EQ(unready.body, "no decode worker is ready: " + decode_.address() + " answers 503\n");
  decode_.status = 200;
  EXPECT_EQ(ask("GET", "/ready", "").status, 200);
  EXPECT_EQ(decode_.line, "GET /health");
}

// Of p2p, by its URL alone: nobody can be told where its socket is, and everybody is told so.
TEST_F(PdProxyTest, AWorkerWithoutANameIsMissedByFlagAndVariable) {
  use_p2p();
  options_.decode.front().name.clear();
  start();
  const std::string why =
      "there is no decode worker: " + decode_.address() +
      " is named without its ZeroMQ socket (--decode-name, DECODE_ZMQ), and none has registered";
  const Recorder unready = ask("GET", "/ready", "");
  EXPECT_EQ(unready.status, 503);
  EXPECT_THAT(unready.body, StartsWith(why)) << "the prefill worker is ready";
  const Recorder answer = complete();
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr(why));
  EXPECT_EQ(told_.prefiller, "");
}

TEST_F(PdProxyTest, WorkersRegisterThemselves) {
  use_p2p();
  options_.prefill.clear();
  options_.decode.clear();
  start();
  const Recorder early = complete();
  EXPECT_EQ(early.status, 503);
  EXPECT_THAT(early.body, HasSubstr("registered"));
  auto registrations =
      std::move(PdRegistrations::listen(*loop_, "127.0.0.1", 0, proxy_->workers(), told_).value());
  const auto context = std::move(ZmqContext::create(4).value());
  const auto worker = std::move(ZmqSocket::open(*context, ZMQ_DEALER, {}).value());
  ASSERT_TRUE(worker->connect("tcp://127.0.0.1:" + std::to_string(registrations->port())));
  const auto send = [&worker](const std::string& message) {
    const std::string_view frame = message;
    EXPECT_TRUE(worker->send(ZmqFrames(&frame, 1)));
  };
  send("\x81\xa4type");
  send(write_p2p_registration({P2pRole::kPrefill, prefill_.address(), "p:1"}));
  send(write_p2p_registration({P2pRole::kDecode, decode_.address(), "d:2"}));
  send(write_p2p_registration({P2pRole::kDecode, decode_.address(), "d:2\r\nX-Evil: 1"}));
  until([this] { return told_.heard.size() == 2 && told_.malformed.size() == 2; });
  EXPECT_EQ(complete().status, 200);
  EXPECT_THAT(decode_.field("x-request-id"), StartsWith("___prefill_addr_p:1___decode_addr_d:2_"));
}

TEST_F(PdProxyTest, WhatIsWrongIsToldBeforeAnyWorkerIsAsked) {
  start();
  EXPECT_EQ(complete("[1]").status, 400);
  EXPECT_EQ(ask("POST", "/v1%2fcompletions", "", kPrompt).status, 400);
  EXPECT_EQ(complete(R"({"prompt":"p","kv_transfer_params":{"remote_host":"evil"}})").status, 200);
  EXPECT_THAT(prefill_.body + decode_.body, Not(HasSubstr("evil")));
}

// As the gateway and the engines do it: where the JSON breaks, and what was expected there.
TEST_F(PdProxyTest, ABodyThatIsNoJsonIsToldWhereItBreaks) {
  start();
  for (const char* path : {"/v1/completions", "/v1/chat/completions", "/generate"}) {
    const std::string broken = R"({"prompt":"secret",})";
    const Recorder answer = ask("POST", path, "Content-Type: application/json\r\n", broken);
    EXPECT_EQ(answer.status, 400) << path;
    EXPECT_EQ(answer.body, error_body(*check_request_body("application/json", broken))) << path;
    EXPECT_THAT(answer.body, HasSubstr("body.19")) << path;
    EXPECT_EQ(told_.refused, "the body is not JSON at byte 19") << "which no log has more of";
  }
  const Recorder list =
      ask("POST", "/v1/completions", "Content-Type: application/json\r\n", " [1]");
  EXPECT_THAT(list.body, HasSubstr("the body is not a JSON object: it begins otherwise at byte 1"));
}

}  // namespace
}  // namespace kvasir

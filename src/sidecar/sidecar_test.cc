#include "sidecar/sidecar_fixture.h"
#include "vllm/request_body.h"

namespace kvasir {
namespace {

using ::testing::EndsWith, ::testing::HasSubstr, ::testing::Not, ::testing::StartsWith;

TEST_F(SidecarTest, APromptIsPrefilledWhereThePickerSays) {
  start();
  prefiller_.answer = kAnswer;
  decoder_.streams = true;
  decoder_.answer = kEvents;
  const Recorder answer =
      ask("POST", "/v1/completions?x=1",
          "x-prefiller-host-port: " + prefiller_.address() +
              "\r\nx-request-id: r-1\r\nAuthorization: Bearer t\r\nConnection: x-secret\r\n"
              "x-secret: 1\r\nx-kv-cache-source-host-port: a:1\r\n",
          R"({"prompt":"p","stream":true,"kv_transfer_params":{"remote_host":"evil"}})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.body, kEvents);
  EXPECT_EQ(prefiller_.line, "POST /v1/completions?x=1");
  EXPECT_THAT(prefiller_.body,
              HasSubstr(R"("stream":false,"kv_transfer_params":{"do_remote_decode":true,)"));
  EXPECT_THAT(prefiller_.body, Not(HasSubstr("evil")));
  EXPECT_EQ(decoder_.body, R"({"prompt":"p","stream":true,"kv_transfer_params":)" +
                               std::string(kAnswer.substr(22, kAnswer.size() - 23)) + "}");
  for (const LegWorkerFixture* worker : {&prefiller_, &decoder_}) {
    EXPECT_EQ(worker->fields.count("x-request-id"), 1u);
    EXPECT_EQ(worker->fields.find("x-request-id")->second, "r-1");
    EXPECT_EQ(worker->fields.find("authorization")->second, "Bearer t");
    for (const char* gone : {"x-prefiller-host-port", "x-kv-cache-source-host-port", "x-secret"}) {
      EXPECT_EQ(worker->fields.count(gone), 0u) << gone;
    }
  }
  EXPECT_EQ(told_.path, HandoffReport::Path::kTwoLegs);
  EXPECT_EQ(told_.prefiller, prefiller_.address());
}

TEST_F(SidecarTest, WithoutAPrefillerTheDecoderGetsTheBodyAsItCame) {
  start();
  decoder_.answer = R"({"text":"t"})";
  const std::string body = R"({ "prompt":"p" , "seed":9007199254740993})";
  EXPECT_EQ(complete("", body).body, decoder_.answer);
  EXPECT_EQ(decoder_.body, body);
  EXPECT_EQ(complete("  ", R"({"prompt":"p","kv_transfer_params":{}})").status, 200);
  EXPECT_EQ(decoder_.body, R"({"prompt":"p"})") << "whatever a client says of workers";
  EXPECT_EQ(prefiller_.requests, 0);
}

TEST_F(SidecarTest, EverythingElseIsTheDecoders) {
  start();
  decoder_.status = 404;
  decoder_.answer = "no such page";
  const Recorder answer = ask("GET", "/v1/models?x", "");
  EXPECT_EQ(answer.status, 404);
  EXPECT_EQ(answer.body, "no such page");
  EXPECT_EQ(decoder_.line, "GET /v1/models?x");
  EXPECT_EQ(ask("GET", "/health", "").status, 200);
  EXPECT_EQ(decoder_.requests, 1) << "that is the sidecar's own";
}

TEST_F(SidecarTest, MetricsAreTheDecodersAndThenOurs) {
  options_.metrics_port = local_port(listen_tcp("127.0.0.1", 0, false).value());
  options_.metrics_page = [](const SidecarState& state) {
    return "ours " + std::to_string(state.connections) + " behind " +
           std::to_string(state.engine_page.size()) + "\n";
  };
  start();
  decoder_.answer = "vllm:a 1\nvllm:b 2";
  EXPECT_EQ(ask("GET", "/metrics?x=1", "").body, "vllm:a 1\nvllm:b 2\nours 1 behind 18\n");
  EXPECT_EQ(decoder_.line, "GET /metrics?x=1");
  EXPECT_EQ(decoder_.fields.find("accept")->second, "text/plain");
  decoder_.status = 500;
  const Recorder failing = ask("GET", "/metrics", "");
  EXPECT_EQ(failing.status, 200);
  EXPECT_THAT(failing.body, StartsWith("# no page of the decode worker at 127.0.0.1:"));
  EXPECT_THAT(failing.body, HasSubstr("it answers 500\nours 1 "));

  HttpClient own(*loop_, resolve("127.0.0.1", options_.metrics_port).value());
  Recorder alone(*loop_);
  own.start("GET /metrics HTTP/1.1\r\nHost: h\r\n\r\n", {}, alone);
  loop_->run();
  EXPECT_EQ(alone.body, "ours 1 behind 0\n");
}

TEST_F(SidecarTest, AnEngineThatHangsCostsOnlyItsPart) {
  options_.page_deadline = std::chrono::milliseconds(20);
  options_.metrics_page = [](const SidecarState&) { return "ours\n"; };
  start();
  decoder_.holds = true;
  EXPECT_THAT(ask("GET", "/metrics", "").body, EndsWith("it has not answered in time\nours\n"));
  EXPECT_EQ(ask("GET", "/health", "").status, 200) << "the sidecar is alive";
  const Recorder ready = ask("GET", "/ready", "");
  EXPECT_EQ(ready.status, 503);
  EXPECT_THAT(ready.body, HasSubstr("is not ready: it has not answered in time"));
  decoder_.holds = false;
  EXPECT_EQ(ask("GET", "/ready", "").status, 200);
  EXPECT_EQ(decoder_.line, "GET /health");
  EXPECT_EQ(decoder_.left, 2) << "what is given up is not left running";
}

// A path that the decoder would read as another one must not go around the rules of that one.
TEST_F(SidecarTest, APathIsReadInOneWay) {
  start();
  ask("POST", "/v1/./completions", "", R"({"prompt":"p","kv_transfer_params":{"a":1}})");
  EXPECT_EQ(decoder_.line, "POST /v1/completions");
  EXPECT_EQ(decoder_.body, R"({"prompt":"p"})");
  EXPECT_EQ(ask("POST", "/v1%2fcompletions", "", "{}").status, 400);
}

TEST_F(SidecarTest, TheNextPrefillerIsTriedAndTheLastErrorIsTold) {
  start();
  prefiller_.answer = kAnswer;
  EXPECT_EQ(complete(free_address() + "," + prefiller_.address(), R"({"prompt":"p"})").status, 200);
  EXPECT_EQ(prefiller_.requests, 1);
  prefiller_.status = 503;
  prefiller_.answer = "{\"busy\":1}";
  const Recorder busy = complete(prefiller_.address(), R"({"prompt":"p"})");
  EXPECT_EQ(busy.status, 503);
  EXPECT_EQ(busy.body, "{\"busy\":1}");
  const std::string nobody = free_address();
  const Recorder dead = complete(nobody, R"({"prompt":"p"})");
  EXPECT_EQ(dead.status, 502);
  EXPECT_THAT(dead.body, HasSubstr(R"("type":"prefill_upstream_error")"));
  EXPECT_THAT(dead.body, HasSubstr(nobody)) << "which worker it was";
  EXPECT_THAT(told_.why, HasSubstr(nobody));
  EXPECT_EQ(told_.failed_at, LegStage::kPrefill);
  EXPECT_EQ(told_.connections_failed, 2);
  EXPECT_EQ(decoder_.requests, 1);
}

TEST_F(SidecarTest, ADecoderThatIsNotThereIsSaidSo) {
  start();
  prefiller_.answer = kAnswer;
  options_.decoder = {"127.0.0.1", 1};
  sidecar_.reset();
  sidecar_ = std::move(Sidecar::create(*loop_, options_, told_).value());
  client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", sidecar_->port()).value());
  for (const std::string& prefillers : {std::string(), prefiller_.address()}) {
    const Recorder answer = complete(prefillers, R"({"prompt":"p"})");
    EXPECT_EQ(answer.status, 503);
    EXPECT_THAT(answer.body, HasSubstr(R"("type":"decode_upstream_error")"));
    EXPECT_THAT(told_.why, HasSubstr("the decode worker: 127.0.0.1:1: "));
  }
  EXPECT_EQ(ask("GET", "/v1/models", "").status, 503);
}

TEST_F(SidecarTest, AnAnswerThatBreaksIsCut) {
  start();
  decoder_.streams = decoder_.breaks = true;
  decoder_.answer = "data: {}\n\n";
  const Recorder answer = complete("", R"({"prompt":"p","stream":true})");
  EXPECT_EQ(answer.body, "data: {}\n\n");
  EXPECT_TRUE(answer.failure.has_value()) << "no end that the decoder did not send";
  EXPECT_TRUE(told_.is_cut);
}

TEST_F(SidecarTest, WhatIsWrongIsToldBeforeAnyWorkerIsAsked) {
  start();
  EXPECT_EQ(complete("", "[1]").status, 400);
  for (const char* header :
       {"a", "a:0", "a:99999", "https://a:1", "user@a:1", "a:1/path", "::1:1"}) {
    const Recorder answer = complete(header, R"({"prompt":"p"})");
    EXPECT_EQ(answer.status, 400) << header;
    EXPECT_THAT(answer.body, HasSubstr("x-prefiller-host-port")) << header;
  }
  EXPECT_EQ(decoder_.requests + prefiller_.requests, 0);
}

// As the gateway and the engines do it: where the JSON breaks, and what was expected there.
TEST_F(SidecarTest, ABodyThatIsNoJsonIsToldWhereItBreaks) {
  start();
  for (const char* path : {"/v1/completions", "/v1/chat/completions", "/invocations"}) {
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

// Vector T8: the connection to the worker is closed, which is what aborts a request there; and what
// was handed over is fetched.
TEST_F(SidecarTest, AClientThatLeavesEndsWhatItBegan) {
  start();
  prefiller_.holds = decoder_.holds = true;
  for (LegWorkerFixture* worker : {&prefiller_, &decoder_}) {
    const int before = worker->left;
    RawClient client(sidecar_->port());
    client.send(
        "POST /v1/completions HTTP/1.1\r\nHost: h\r\nContent-Length: 14\r\n"
        "x-prefiller-host-port: " +
        prefiller_.address() + "\r\n\r\n{\"prompt\":\"p\"}");
    const int asked = worker->requests;
    const auto until = [this](const auto& done) {
      while (!done()) {
        loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
        loop_->run();
      }
    };
    until([&] { return worker->requests > asked; });
    client.close();
    until([&] { return worker->left > before; });
    prefiller_.holds = false;
    prefiller_.answer = kAnswer;
    if (worker == &decoder_) {
      until([&] { return decoder_.requests == 2; });
      EXPECT_THAT(decoder_.body, HasSubstr(R"("max_tokens":1,)")) << "the release";
    }
  }
  EXPECT_EQ(told_.status, 499);
}

}  // namespace
}  // namespace kvasir

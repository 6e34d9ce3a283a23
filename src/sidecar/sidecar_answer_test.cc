// What the client hears beside the decoder's bytes: fields, trailers, a comment, the usage.
#include "sidecar/sidecar_fixture.h"

namespace kvasir {
namespace {

using ::testing::AllOf, ::testing::ContainsRegex, ::testing::EndsWith, ::testing::HasSubstr,
    ::testing::MatchesRegex, ::testing::Not;

constexpr std::string_view kUsageEvents =
    "data: {\"choices\":[{\"text\":\"t\"}]}\n\n"
    "data: {\"choices\":[],\"usage\":{\"completion_tokens\":3,"
    "\"prompt_tokens_details\":{\"cached_tokens\":90}}}\n\ndata: [DONE]\n\n";

class SidecarAnswer : public SidecarTest {
 protected:
  // The whole answer, head and framing included.
  std::string raw(std::string_view body, std::string_view path = "/v1/completions") {
    auto client = begin(
        path, "Connection: close\r\nx-prefiller-host-port: " + prefiller_.address() + "\r\n", body);
    run_until([&] { return client->ended(); });
    return client->received();
  }
  // With what the prefill worker found in its cache.
  static std::string with_cached(std::string_view answer) {
    return R"({"usage":{"prompt_tokens_details":{"cached_tokens":16}},)" +
           std::string(answer.substr(1));
  }
};

TEST_F(SidecarAnswer, AStreamsHeadSaysWhatIsKnownByThen) {
  options_.pod_name = "decode-pod-3";
  start();
  prefiller_.answer = kAnswer;
  decoder_.streams = true;
  decoder_.answer = kEvents;
  decoder_.more_fields = "x-kv-transfer-time-ms: 7.5\r\nx-prefill-time-ms: 1\r\n";
  const std::string answer = raw(R"({"prompt":"p","stream":true})");
  EXPECT_THAT(answer, ContainsRegex("\r\nx-prefill-time-ms: [0-9.]+\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("x-prefill-time-ms: 1\r\n"))) << "that is ours to say";
  EXPECT_THAT(answer, HasSubstr("\r\nx-prefill-pod: " + prefiller_.address() + "\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nx-decode-pod: decode-pod-3\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nx-kv-transfer-time-ms: 7.5\r\n")) << "the decoder measured it";
  EXPECT_THAT(answer, ContainsRegex("\r\nServer-Timing: prefill;dur=[0-9.]+, "
                                    "decode-first-byte;dur=[0-9.]+, kv-transfer;dur=7.5\r\n"));
  EXPECT_THAT(answer, Not(HasSubstr("x-decode-time-ms"))) << "that is known at its end only";
  EXPECT_THAT(answer, Not(HasSubstr("x-total-time-ms")));
  decoder_.more_fields.clear();
  EXPECT_THAT(raw(R"({"prompt":"p","stream":true})"), Not(HasSubstr("kv-transfer")))
      << "absent, and never 0, when nobody measured";
}

TEST_F(SidecarAnswer, AWholeAnswersHeadSaysAll) {
  start();
  prefiller_.answer = kAnswer;
  decoder_.answer = R"({"usage":{"completion_tokens":50}})";
  const std::string answer = raw(R"({"prompt":"p"})");
  EXPECT_THAT(answer, ContainsRegex("\r\nx-decode-time-ms: [0-9.]+\r\n"));
  EXPECT_THAT(answer, ContainsRegex("\r\nx-total-time-ms: [0-9.]+\r\n"));
  EXPECT_THAT(answer, HasSubstr("\r\nx-tokens-generated: 50\r\n"));
  EXPECT_THAT(answer, EndsWith("\r\n\r\n" + decoder_.answer));
  decoder_.answer = "{}";
  EXPECT_THAT(raw(R"({"prompt":"p"})"), Not(HasSubstr("x-tokens-generated")));
}

TEST_F(SidecarAnswer, WhatAStreamsEndTellsStandsBehindTheDecodersBytes) {
  options_.answer.timing_trailers = options_.answer.timing_comment = true;
  start();
  prefiller_.answer = kAnswer;
  decoder_.streams = true;
  decoder_.answer = kUsageEvents;
  const std::string answer = raw(R"({"prompt":"p","stream":true})");
  EXPECT_THAT(answer, HasSubstr("\r\nTrailer: x-decode-time-ms, x-total-time-ms, "
                                "x-tokens-generated\r\n"));
  EXPECT_THAT(answer, HasSubstr(std::string(kUsageEvents))) << "one piece, as it came";
  EXPECT_THAT(answer, ContainsRegex("data: \\[DONE\\]\n\n\r\n[0-9a-f]+\r\n"
                                    ": x-decode-time-ms: [0-9.]+\n: x-total-time-ms: [0-9.]+\n"
                                    ": x-tokens-generated: 3\n\n\r\n0\r\n"
                                    "x-decode-time-ms: [0-9.]+\r\nx-total-time-ms: [0-9.]+\r\n"
                                    "x-tokens-generated: 3\r\n\r\n$"));
  decoder_.breaks = true;
  const std::string cut = raw(R"({"prompt":"p","stream":true})");
  EXPECT_THAT(cut, HasSubstr("data: [DONE]"));
  EXPECT_THAT(cut, Not(HasSubstr("\n: x-decode-time-ms")))
      << "no end that the decoder did not send";
}

TEST_F(SidecarAnswer, WithoutTheFlagsAStreamKeepsItsFraming) {
  start();
  prefiller_.answer = kAnswer;
  decoder_.streams = true;
  decoder_.answer = kEvents;
  EXPECT_THAT(raw(R"({"prompt":"p","stream":true})"),
              EndsWith("\r\n\r\n1d\r\n" + std::string(kEvents) + "\r\n0\r\n\r\n"));
}

// As llm-d's does since its #916: to the decoder all of the prompt was cached.
TEST_F(SidecarAnswer, CachedTokensAreThePrefillersWhereItSaysThem) {
  start();
  const std::string whole =
      R"({"usage":{"prompt_tokens":96,"prompt_tokens_details":{"cached_tokens":90}},"x":1.0})";
  const std::string stream =
      R"({"prompt":"p","stream":true,"stream_options":{"include_usage":true}})";
  prefiller_.answer = with_cached(kAnswer);
  decoder_.answer = whole;
  EXPECT_EQ(
      complete(prefiller_.address(), R"({"prompt":"p"})").body,
      R"({"usage":{"prompt_tokens":96,"prompt_tokens_details":{"cached_tokens":16}},"x":1.0})");
  decoder_.streams = true;
  decoder_.answer = kUsageEvents;
  EXPECT_THAT(complete(prefiller_.address(), stream).body,
              AllOf(HasSubstr("\"cached_tokens\":16}}}\n\ndata: [DONE]"),
                    HasSubstr("data: {\"choices\":[{\"text\":\"t\"}]}\n\n")));
  EXPECT_EQ(complete("", stream).body, kUsageEvents) << "the decoder's own, of its own prefill";
  prefiller_.answer = kAnswer;
  EXPECT_EQ(complete(prefiller_.address(), stream).body, kUsageEvents) << "it says nothing";
}

TEST_F(SidecarAnswer, CachedTokensStayTheDecodersWhenThatIsWanted) {
  options_.answer.prefill_cached_tokens = false;
  start();
  prefiller_.answer = with_cached(kAnswer);
  decoder_.answer = R"({"usage":{"prompt_tokens_details":{"cached_tokens":90}}})";
  EXPECT_EQ(complete(prefiller_.address(), R"({"prompt":"p"})").body, decoder_.answer);
}

TEST_F(SidecarAnswer, AWholeAnswerThatBreaksIsAnErrorWhenTheClientHasNothingOfIt) {
  start();
  prefiller_.answer = with_cached(kAnswer);
  RawOrigin half(*loop_);
  half.replies = {
      {"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{",
       RawOrigin::Reply::Then::kClose}};
  options_.decoder = {"127.0.0.1",
                      static_cast<uint16_t>(ntohs(
                          reinterpret_cast<const sockaddr_in&>(half.address().storage).sin_port))};
  client_.reset();
  sidecar_ = std::move(Sidecar::create(*loop_, options_, told_).value());
  client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", sidecar_->port()).value());
  const Recorder answer = complete(prefiller_.address(), R"({"prompt":"p"})");
  EXPECT_EQ(answer.status, 502);
  EXPECT_THAT(answer.body, HasSubstr("decode_upstream_error"));
}

class SidecarFirstToken : public SidecarAnswer {
 protected:
  static constexpr std::string_view kGreedy =
      R"({"prompt":"p","stream":true,"temperature":0,"max_tokens":9})";
  void start_with(const std::string& decoders_stream) {
    options_.answer.first_token = true;
    start();
    prefiller_.answer =
        R"({"id":"cmpl-r","created":7,"model":"m","choices":[{"text":"Hello","finish_reason":"length"}],)" +
        std::string(kAnswer.substr(1));
    decoder_.streams = true;
    decoder_.answer = decoders_stream;
  }
  static std::string event(std::string_view text) {
    return "data: {\"choices\":[{\"text\":\"" + std::string(text) +
           "\",\"finish_reason\":null}]}\n\n";
  }
};

TEST_F(SidecarFirstToken, IsThePrefillersAndComesBeforeTheDecoderAnswers) {
  start_with(event("Hello") + event(" world") + "data: [DONE]\n\n");
  decoder_.holds = true;
  auto client =
      begin("/v1/completions", "x-prefiller-host-port: " + prefiller_.address() + "\r\n", kGreedy);
  run_until([&] { return client->received().find("Hello") != std::string::npos; });
  EXPECT_THAT(client->received(), ContainsRegex("\r\nx-prefill-time-ms: [0-9.]+\r\n"));
  client.reset();
  run_until([this] { return decoder_.requests == 1; });
  client =
      begin("/v1/completions", "x-prefiller-host-port: " + prefiller_.address() + "\r\n", kGreedy);
  run_until([this] { return decoder_.requests == 2; });  // its first token is unread: a reset
  client->close();
  run_until([this] { return decoder_.left == 1 && decoder_.requests == 3; });
  EXPECT_THAT(decoder_.body, HasSubstr(R"("max_tokens":1)")) << "nobody had fetched it: a release";
  decoder_.holds = false;
  EXPECT_EQ(complete(prefiller_.address(), kGreedy).body,
            "data: {\"id\":\"cmpl-r\",\"object\":\"text_completion\",\"created\":7,\"model\":\"m\","
            "\"choices\":[{\"index\":0,\"text\":\"Hello\",\"finish_reason\":null}]}\n\n" +
                event(" world") + "data: [DONE]\n\n");
  const std::string sampled = R"({"prompt":"p","stream":true,"temperature":0.7})";
  EXPECT_EQ(complete(prefiller_.address(), sampled).body, decoder_.answer) << "as ever";
}

TEST_F(SidecarFirstToken, AnotherOneOrAnErrorCutsTheStream) {
  start_with(event("Hallo"));
  const Recorder other = complete(prefiller_.address(), kGreedy);
  EXPECT_TRUE(other.failure.has_value());
  EXPECT_THAT(other.body, Not(HasSubstr("Hallo")));
  EXPECT_TRUE(told_.is_cut);
  EXPECT_THAT(told_.why, HasSubstr("is not the prefill worker's"));
  decoder_.streams = false;
  decoder_.status = 500;
  EXPECT_TRUE(complete(prefiller_.address(), kGreedy).failure.has_value());
  EXPECT_THAT(told_.why, HasSubstr("answers 500"));
}

// W3C trace context: both legs are spans of the client's trace, each one of its own.
TEST_F(SidecarAnswer, WithTracingLegsAreSpansOfTheClientsTrace) {
  const std::string trace = "4bf92f3577b34da6a3ce929d0e0e4736";
  const std::string field = "traceparent: 00-" + trace + "-00f067aa0ba902b7-01\r\n";
  const auto told = [](const LegWorkerFixture& worker) {
    EXPECT_EQ(worker.fields.count("traceparent"), 1u);
    return worker.fields.find("traceparent")->second;
  };
  for (const bool tracing : {false, true}) {
    options_.answer.trace = tracing;
    client_.reset();
    sidecar_.reset();
    start();
    prefiller_.answer = kAnswer;
    ask("POST", "/v1/completions",
        field + "x-prefiller-host-port: " + prefiller_.address() + "\r\n", R"({"prompt":"p"})");
    if (!tracing) {
      EXPECT_EQ(told(prefiller_), "00-" + trace + "-00f067aa0ba902b7-01");
      EXPECT_EQ(told(decoder_), told(prefiller_));
      continue;
    }
    for (const LegWorkerFixture* worker : {&prefiller_, &decoder_}) {
      EXPECT_THAT(told(*worker), MatchesRegex("00-" + trace + "-[0-9a-f]{16}-01"));
      EXPECT_THAT(told(*worker), Not(HasSubstr("00f067aa0ba902b7")));
    }
    EXPECT_NE(told(prefiller_), told(decoder_));
  }
}

// Two ports in a row, both listened on.
std::pair<Descriptor, Descriptor> neighbours() {
  for (int tries = 0; tries < 200; ++tries) {
    Descriptor first = std::move(listen_tcp("127.0.0.1", 0, false).value());
    const auto next = static_cast<uint16_t>(local_port(first) + 1);
    auto second = listen_tcp("127.0.0.1", next, false);
    if (second) return {std::move(first), std::move(*second)};
  }
  return {};
}

// Rank i of a data-parallel decoder has a port of its own; a picker may name it by a field instead.
TEST_F(SidecarAnswer, EachRankHasItsPortAndItsName) {
  auto [first_port, second_port] = neighbours();
  ASSERT_TRUE(first_port.open());
  LegWorkerFixture first(*loop_, std::move(first_port)), second(*loop_, std::move(second_port));
  options_.data_parallel_size = 2;
  options_.pod_ip = "10.0.0.5";
  options_.host = "127.0.0.1";
  options_.decoder = {"127.0.0.1", first.port()};
  std::unique_ptr<Sidecar> sidecar;
  for (int tries = 0; tries < 20 && sidecar == nullptr; ++tries) {
    options_.port = local_port(neighbours().first);  // free again, if nobody is faster
    auto created = Sidecar::create(*loop_, options_, told_);
    if (created) sidecar = std::move(*created);
  }
  ASSERT_NE(sidecar, nullptr);
  const auto ask_rank = [&](int rank, const std::string& named) {
    client_ = std::make_unique<HttpClient>(
        *loop_, resolve("127.0.0.1", static_cast<uint16_t>(options_.port + rank)).value());
    const std::string field = named.empty() ? "" : "x-data-parallel-host-port: " + named + "\r\n";
    const int status = ask("POST", "/v1/completions", field, R"({"prompt":"p"})").status;
    client_.reset();
    return status;
  };
  EXPECT_EQ(ask_rank(0, ""), 200);
  EXPECT_EQ(first.requests, 1);
  EXPECT_EQ(ask_rank(1, ""), 200);
  EXPECT_EQ(second.requests, 1);
  EXPECT_EQ(ask_rank(0, "10.0.0.5:" + std::to_string(options_.port + 1)), 200);
  EXPECT_EQ(second.requests, 2);
  EXPECT_EQ(second.fields.count("x-data-parallel-host-port"), 0u);
  EXPECT_EQ(ask_rank(0, "10.0.0.5:" + std::to_string(options_.port + 2)), 400);
  EXPECT_EQ(ask_rank(0, "10.0.0.6:" + std::to_string(options_.port)), 400);
  EXPECT_EQ(first.requests, 1);
}

}  // namespace
}  // namespace kvasir

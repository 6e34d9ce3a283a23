// A replay against a server on the same loop that answers as each test wants.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <csignal>
#include <cstdio>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>

#include "bench/http_fetch.h"
#include "bench/replay_run.h"
#include "net/http/http_server.h"
#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::Gt;
using ::testing::HasSubstr;
using ::testing::Lt;
using ::testing::UnorderedElementsAre;

constexpr Duration kTokenTime = std::chrono::milliseconds(2);

// What the server does with a request.
enum class Manner {
  kWell,
  kStatus503,
  kCut,
  kWrongUsage,
  kNoUsage,
  kNoDone,
  kErrorInStream,
  kSilent,
  kJson,
  kClose
};

// Streams one answer token by token, from the loop.
class Stream final : public HttpExchange::Observer, public std::enable_shared_from_this<Stream> {
 public:
  Stream(EventLoop& loop, HttpExchange& exchange, const nlohmann::json& request, Manner manner)
      : loop_(loop),
        exchange_(&exchange),
        manner_(manner),
        left_(request["max_tokens"]),
        prompt_tokens_(request.contains("prompt") ? encode(std::string(request["prompt"])).size()
                                                  : kChatTokens) {}

  void start() {
    exchange_->set_observer(this);
    exchange_->start(200,
                     "Content-Type: text/event-stream; charset=utf-8\r\nx-selected-pod: pod-1\r\n");
    next();
  }

  static int gone;
  static int ended;

 private:
  static constexpr size_t kChatTokens = 9;

  void on_client_gone() override {
    ++gone;
    exchange_ = nullptr;
  }

  void next() {
    if (exchange_ == nullptr) return;
    if (left_ == 0) return end();
    if (sent_ == 2 && manner_ == Manner::kCut) return exchange_->abort();
    if (sent_ == 2 && manner_ == Manner::kErrorInStream) {
      exchange_->write("data: {\"error\":{\"message\":\"it broke\",\"code\":500}}\n\n");
    }
    --left_;
    const std::string word(spaced_word(static_cast<uint32_t>((prompt_tokens_ + sent_++) % kWords)));
    exchange_->write("data: {\"choices\":[{\"index\":0,\"text\":\"" + word +
                     "\",\"finish_reason\":null}]}\n\n");
    loop_.after(kTokenTime, [self = shared_from_this()] { self->next(); });
  }

  void end() {
    const size_t counted = prompt_tokens_ + (manner_ == Manner::kWrongUsage ? 1 : 0);
    if (manner_ != Manner::kNoUsage) {
      exchange_->write("data: {\"choices\":[],\"usage\":{\"prompt_tokens\":" +
                       std::to_string(counted) + ",\"completion_tokens\":" + std::to_string(sent_) +
                       ",\"prompt_tokens_details\":{\"cached_tokens\":16}}}\n\n");
    }
    if (manner_ != Manner::kNoDone) exchange_->write("data: [DONE]\n\n");
    exchange_->finish();
    ++ended;
  }

  EventLoop& loop_;
  HttpExchange* exchange_;
  const Manner manner_;
  size_t left_;
  const size_t prompt_tokens_;
  size_t sent_ = 0;
};
int Stream::gone = 0;
int Stream::ended = 0;

class Server final : public HttpHandler {
 public:
  explicit Server(EventLoop& loop)
      : loop_(loop), server_(loop, std::move(listen_tcp("127.0.0.1", 0, false).value()), *this) {}

  uint16_t port() const { return server_.port(); }

  void on_request(HttpExchange& exchange) override {
    ids.emplace_back(exchange.head().find("x-request-id").value_or(""));
    bodies.emplace_back(exchange.body());
    targets.emplace_back(exchange.head().target());
    switch (manner) {
      case Manner::kStatus503:
        return exchange.respond(503, "Content-Type: application/json\r\n",
                                R"({"error":{"message":"no capacity","code":503}})");
      case Manner::kJson:
        return exchange.respond(200, "Content-Type: application/json\r\n", "{}");
      case Manner::kClose:
        return exchange.abort();
      case Manner::kSilent:
        return;
      default:
        break;
    }
    const auto request = nlohmann::json::parse(bodies.back());
    std::make_shared<Stream>(loop_, exchange, request, manner)->start();
  }
  Refusal on_refused(int, std::string_view) override { return {}; }

  Manner manner = Manner::kWell;
  std::vector<std::string> ids;
  std::vector<std::string> bodies;
  std::vector<std::string> targets;

 private:
  EventLoop& loop_;
  HttpServer server_;
};

class ReplayTest : public ::testing::Test {
 protected:
  ReplayTest() : loop_(std::move(EventLoop::create().value())), server_(*loop_) {
    options_.replay.origins = {{"127.0.0.1", server_.port()}};
    options_.replay.completion.model = "m";
  }

  // Rows of 600 prompt tokens that all share their first block, `gap_ms` apart.
  static Workload rows(size_t count, uint64_t gap_ms, uint32_t output = 5) {
    std::vector<TraceRow> trace;
    for (size_t i = 0; i < count; ++i) {
      trace.push_back({static_cast<double>(i * gap_ms), 600, output, {0, i + 1}});
    }
    WorkloadOptions options;
    options.bins = Bins::kAsIs;
    return plan_workload(std::move(trace), options);
  }

  std::vector<Outcome> replay(const Workload& workload) {
    Result<std::vector<Outcome>> outcomes = run_replay(*loop_, workload, options_);
    EXPECT_TRUE(outcomes) << outcomes.error().message;
    return outcomes ? *outcomes : std::vector<Outcome>();
  }

  Outcome replay_one(Manner manner) {
    server_.manner = manner;
    const std::vector<Outcome> outcomes = replay(rows(1, 0));
    EXPECT_EQ(outcomes.size(), 1u);
    return outcomes.empty() ? Outcome() : outcomes.front();
  }

  std::unique_ptr<EventLoop> loop_;
  Server server_;
  ReplayRunOptions options_;
};

TEST_F(ReplayTest, EveryRowIsSentAtItsTimeAndAnswered) {
  const std::vector<Outcome> outcomes = replay(rows(10, 20));
  ASSERT_EQ(outcomes.size(), 10u);
  for (size_t i = 0; i < outcomes.size(); ++i) {
    const Outcome& outcome = outcomes[i];
    EXPECT_EQ(outcome.row, i);
    EXPECT_EQ(outcome.error, "") << outcome.error_detail;
    EXPECT_DOUBLE_EQ(outcome.intended_ms, 20.0 * static_cast<double>(i));
    EXPECT_GE(outcome.sent_ms, outcome.intended_ms);
    EXPECT_GT(outcome.ttft_ms, 0);
    EXPECT_GE(outcome.latency_ms, outcome.ttft_ms + 4 * to_milliseconds(kTokenTime));
    EXPECT_GE(outcome.end_ms, outcome.intended_ms + outcome.latency_ms);
    EXPECT_EQ(outcome.prompt_tokens, 600u);
    EXPECT_EQ(outcome.output_tokens, 5u);
    EXPECT_EQ(outcome.cached_tokens, 16u);
    EXPECT_EQ(outcome.endpoint, "pod-1");
    EXPECT_EQ(outcome.status, 200);
  }
  EXPECT_EQ(server_.ids.front(), "replay-0");
}

TEST_F(ReplayTest, RequestsAskForAStreamWithUsageOfTheRowsLength) {
  options_.replay.completion.ignore_eos = true;
  replay(rows(1, 0, 7));
  const auto request = nlohmann::json::parse(server_.bodies.front());
  EXPECT_EQ(request["model"], "m");
  EXPECT_EQ(request["max_tokens"], 7);
  EXPECT_EQ(request["seed"], 1);
  EXPECT_EQ(request["stream"], true);
  EXPECT_EQ(request["stream_options"]["include_usage"], true);
  EXPECT_EQ(request["ignore_eos"], true);
  EXPECT_EQ(encode(std::string(request["prompt"])).size(), 600u);
}

TEST_F(ReplayTest, ATurnStartsItsDelayAfterTheAnswerBeforeIt) {
  std::vector<TraceRow> trace;
  for (int i = 0; i < 3; ++i) {
    TraceRow row{0, 600, 5, {}};
    row.session = "a";
    row.delay_ms = i == 0 ? 0 : 30;
    trace.push_back(row);
  }
  trace.push_back({1, 600, 5, {}});  // waits for nobody
  trace[2].timestamp_ms = 200;       // later than its delay
  server_.manner = Manner::kWell;
  const std::vector<Outcome> outcomes = replay(plan_workload(trace, {}));
  ASSERT_EQ(outcomes.size(), 4u);
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.error, "") << outcome.error_detail;
  EXPECT_GE(outcomes[1].intended_ms, outcomes[0].end_ms + 29.9);
  EXPECT_GE(outcomes[1].sent_ms, outcomes[1].intended_ms);
  EXPECT_GE(outcomes[2].intended_ms, 200);
  EXPECT_GE(outcomes[2].intended_ms, outcomes[1].end_ms + 29.9);
  EXPECT_EQ(outcomes[3].intended_ms, 1);
}

TEST_F(ReplayTest, ASessionGoesOnAfterATurnThatFailed) {
  std::vector<TraceRow> trace(2, TraceRow{0, 600, 5, {}});
  trace[0].session = trace[1].session = "a";
  server_.manner = Manner::kStatus503;
  const std::vector<Outcome> outcomes = replay(plan_workload(trace, {}));
  ASSERT_EQ(outcomes.size(), 2u);
  EXPECT_EQ(outcomes[1].error, "HTTP 503");
}

TEST_F(ReplayTest, PromptsAreWhatTheRowsSay) {
  std::vector<TraceRow> trace(4, TraceRow{0, 40, 5, {}});
  trace[2].text = "say \"h\xc3\xa9llo\"\n";
  trace[2].input_length = 1;
  trace[3].hash_ids = {7, 8, 9};
  WorkloadOptions options;
  options.block_tokens = 16;
  const std::vector<Outcome> outcomes = replay(plan_workload(trace, options));
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.error, "") << outcome.error_detail;
  std::vector<std::string> prompts;
  for (const std::string& body : server_.bodies) {
    prompts.push_back(nlohmann::json::parse(body)["prompt"]);
  }
  ASSERT_EQ(prompts.size(), 4u);
  EXPECT_EQ(encode(prompts[0]).size(), 40u);
  EXPECT_NE(prompts[0].substr(0, 64), prompts[1].substr(0, 64));  // they name no blocks
  EXPECT_EQ(prompts[2], trace[2].text);
  EXPECT_EQ(encode(prompts[3]).size(), 40u);
}

TEST_F(ReplayTest, MessagesAreSentAsAChat) {
  std::vector<TraceRow> trace(2, TraceRow{0, 3, 5, {}});
  trace[0].messages = R"([{"role":"user", "content":"h\u0069"}])";
  trace[0].tools = R"([{"type":"function","function":{"name":"f"}}])";
  trace[1].messages = R"([{"role":"user","content":"hi"}])";
  const std::vector<Outcome> outcomes = replay(plan_workload(trace, {}));
  for (const Outcome& outcome : outcomes) EXPECT_EQ(outcome.error, "") << outcome.error_detail;
  ASSERT_EQ(server_.bodies.size(), 2u);
  for (const std::string& target : server_.targets) EXPECT_EQ(target, "/v1/chat/completions");
  EXPECT_THAT(server_.bodies[0], HasSubstr("\"messages\":" + trace[0].messages));
  EXPECT_THAT(server_.bodies[0], HasSubstr("\"tools\":" + trace[0].tools));
  const auto request = nlohmann::json::parse(server_.bodies[0]);
  EXPECT_EQ(request["tool_choice"], "none");
  EXPECT_EQ(request["max_tokens"], 5);
  EXPECT_EQ(request["stream"], true);
  EXPECT_FALSE(request.contains("prompt"));
  EXPECT_FALSE(nlohmann::json::parse(server_.bodies[1]).contains("tools"));
  EXPECT_FALSE(nlohmann::json::parse(server_.bodies[1]).contains("tool_choice"));
}

TEST_F(ReplayTest, SameTextsHaveSameHashesAndTwoRunsAreAlike) {
  const std::vector<Outcome> first = replay(rows(2, 0, 5));
  const std::vector<std::string> bodies = server_.bodies;
  server_.bodies.clear();
  const std::vector<Outcome> second = replay(rows(2, 0, 5));
  EXPECT_EQ(server_.bodies, bodies);
  EXPECT_EQ(first[0].answer_hash,
            first[1].answer_hash);  // the server's text depends on lengths only
  EXPECT_EQ(first[0].answer_hash, second[0].answer_hash);
  EXPECT_NE(first[0].answer_hash, replay(rows(1, 0, 6))[0].answer_hash);
}

TEST_F(ReplayTest, WhatGoesWrongIsAnOutcomeWithAReason) {
  const struct {
    Manner manner;
    int status;
    const char* error;
    const char* detail;
  } cases[] = {
      {Manner::kStatus503, 503, "HTTP 503", "no capacity"},
      {Manner::kCut, 200, "connection lost", ""},
      {Manner::kClose, 0, "connection lost", ""},
      {Manner::kWrongUsage, 200, "count mismatch", "sent 600, counted 601"},
      {Manner::kNoUsage, 200, "no usage", ""},
      {Manner::kNoDone, 200, "no [DONE]", ""},
      {Manner::kErrorInStream, 200, "error in the stream", "it broke"},
      {Manner::kJson, 200, "not an event stream", "{}"},
  };
  for (const auto& one : cases) {
    const Outcome outcome = replay_one(one.manner);
    EXPECT_EQ(outcome.error, one.error);
    EXPECT_EQ(outcome.status, one.status) << one.error;
    EXPECT_THAT(outcome.error_detail, HasSubstr(one.detail)) << one.error;
    EXPECT_GT(outcome.latency_ms, 0) << one.error;
  }
}

TEST_F(ReplayTest, RowsAreDealtToSeveralServersInTurn) {
  Server other(*loop_);
  options_.replay.origins.push_back({"127.0.0.1", other.port()});
  for (const Outcome& outcome : replay(rows(5, 1))) EXPECT_EQ(outcome.error, "");
  EXPECT_THAT(server_.ids, UnorderedElementsAre("replay-0", "replay-2", "replay-4"));
  EXPECT_THAT(other.ids, UnorderedElementsAre("replay-1", "replay-3"));
}

TEST_F(ReplayTest, NothingToConnectToIsAnOutcomeToo) {
  options_.replay.origins[0].port = local_port(listen_tcp("127.0.0.1", 0, false).value());
  EXPECT_EQ(replay_one(Manner::kWell).error, "cannot connect");
}

TEST_F(ReplayTest, TimeoutCountsFromTheIntendedTimeAndFreesTheConnection) {
  options_.replay.timeout = std::chrono::milliseconds(50);
  EXPECT_EQ(replay_one(Manner::kSilent).error, "timeout");
  Stream::gone = 0;
  server_.manner = Manner::kWell;
  const std::vector<Outcome> outcomes = replay(rows(1, 0, 1000));
  EXPECT_EQ(outcomes[0].error, "timeout");
  EXPECT_THAT(outcomes[0].latency_ms, AllOf(Gt(49), Lt(1000)));
  EXPECT_GT(outcomes[0].ttft_ms, 0);
  bool later = false;
  loop_->after(std::chrono::milliseconds(5), [&] {
    later = true;
    loop_->stop();
  });
  run_until(*loop_, later);
  EXPECT_EQ(Stream::gone, 1);
}

TEST_F(ReplayTest, TimeScaleMakesItFasterAndReportsUnscaled) {
  options_.replay.time_scale = 10;
  const TimePoint begin = SteadyClock().now();
  const std::vector<Outcome> outcomes = replay(rows(5, 500));
  const Duration wall = SteadyClock().now() - begin;
  EXPECT_GE(wall, std::chrono::milliseconds(200));
  EXPECT_LT(wall, std::chrono::milliseconds(1900));
  EXPECT_DOUBLE_EQ(outcomes[4].intended_ms, 2000);
  EXPECT_GE(outcomes[4].sent_ms, 2000);
  EXPECT_GE(outcomes[4].latency_ms, 10 * 4 * to_milliseconds(kTokenTime));
}

TEST_F(ReplayTest, ManyStreamsAtOnceAllEndWell) {
  const std::vector<Outcome> outcomes = replay(rows(500, 0, 20));
  std::map<std::string, int> errors;
  for (const Outcome& outcome : outcomes) ++errors[outcome.error];
  EXPECT_EQ(errors, (std::map<std::string, int>{{"", 500}}));
}

TEST_F(ReplayTest, OutcomesAreWrittenAsJsonLines) {
  options_.output_file = ::testing::TempDir() + "/replay_test_outcomes.jsonl";
  replay(rows(3, 0));
  std::ifstream file(options_.output_file);
  size_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) {
    const auto json = nlohmann::json::parse(line);
    EXPECT_EQ(json["output_tokens"], 5);
    EXPECT_EQ(json["cached_tokens"], 16);
    EXPECT_EQ(json["status"], 200);
    EXPECT_GT(json["itl_ms"], 0);
    EXPECT_FALSE(json.contains("error"));
  }
  EXPECT_EQ(lines, 3u);
  std::remove(options_.output_file.c_str());
}

TEST_F(ReplayTest, ASignalEndsItWithTheOutcomesSoFar) {
  options_.output_file = ::testing::TempDir() + "/replay_test_interrupted.jsonl";
  options_.stop_at_signals = true;
  // The last row would be due in an hour: when two have ended, only the signal can end the replay.
  std::function<void()> interrupt_after_two = [&] {
    if (Stream::ended == 2) {
      loop_->after(10 * kTokenTime, [] { raise(SIGINT); });
    } else {
      loop_->after(kTokenTime, interrupt_after_two);
    }
  };
  Stream::ended = 0;
  interrupt_after_two();
  Workload workload = rows(3, 0);
  workload.due.back() = std::chrono::hours(1);
  const std::vector<Outcome> outcomes = replay(workload);
  ASSERT_EQ(outcomes.size(), 2u);
  std::ifstream file(options_.output_file);
  size_t lines = 0;
  for (std::string line; std::getline(file, line); ++lines) EXPECT_FALSE(line.empty());
  EXPECT_EQ(lines, 2u);
  std::remove(options_.output_file.c_str());
}

TEST_F(ReplayTest, UnwritableOutputIsAnError) {
  options_.output_file = "/nonexistent/x.jsonl";
  const auto outcomes = run_replay(*loop_, rows(1, 0), options_);
  ASSERT_FALSE(outcomes);
  EXPECT_THAT(outcomes.error().message, HasSubstr("/nonexistent/x.jsonl"));
}

TEST_F(ReplayTest, AReasonToAbortEndsItEarly) {
  options_.why_abort = [] { return std::optional<Error>(Error{"a worker died"}); };
  const auto outcomes = run_replay(*loop_, rows(2, 60'000), options_);
  ASSERT_FALSE(outcomes);
  EXPECT_EQ(outcomes.error().message, "a worker died");
}

}  // namespace
}  // namespace kvasir

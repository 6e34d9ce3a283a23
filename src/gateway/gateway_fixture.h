// For the tests of the gateway: fake workers behind one, all on one loop.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "gateway/gateway.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "net/io/event_loop.h"

namespace kvasir {

// A worker that does what its script says, request by request; then it answers with its name.
class FakeWorker final : public HttpHandler, private HttpExchange::Observer {
 public:
  enum class Act {
    kAnswer, kStream, kCut, kCutAfterHead, kCutMidStream, kHang, kNoLength,
    kError,           // `error_status`, with the name as body
    kErrorNoLength,   // its end is the connection's
    kErrorThatStalls,
    kErrorThatIsLong,
    kSay,             // 200, with `says` as body
    kSayWithoutLength,  // its end is the connection's
    kOpenStream,      // `pieces`, and no end
    kNoHttp,
  };

  FakeWorker(EventLoop& loop, std::string name)
      : loop_(loop),
        name_(std::move(name)),
        server_(std::make_unique<HttpServer>(
            loop, std::move(listen_tcp("127.0.0.1", 0, false).value()), *this)),
        port_(server_->port()) {}

  uint16_t port() const { return port_; }
  void close() { server_.reset(); }
  void on_client_gone() override { ++clients_gone; }
  Refusal on_refused(int, std::string_view) override { return {}; }

  void on_request(HttpExchange& exchange) override {
    if (exchange.head().path() == "/health") {
      ++checks;
      if (frozen) return exchange.set_observer(this);
      return exchange.respond(healthy ? 200 : 503, "", "");
    }
    if (exchange.head().path() == "/metrics") {
      return exchange.respond(200, "", metrics);
    }
    bodies.emplace_back(exchange.body());
    heads.push_back(exchange.head());
    request_ids.emplace_back(exchange.head().find("x-request-id").value_or(""));
    act(exchange);
  }

  std::deque<Act> script;
  std::vector<std::string> bodies;
  std::vector<HttpHead> heads;
  std::vector<std::string> request_ids;
  std::string metrics = "vllm:cache_config_info{block_size=\"16\",num_gpu_blocks=\"100\"} 1\n";
  std::string more_fields;  // of good answers
  std::vector<std::string> pieces;
  std::string says;
  int error_status = 500;
  std::string error_fields;  // of kError
  bool healthy = true;
  bool frozen = false;      // answers no health check
  bool fails_always = false;
  Act failing = Act::kError;  // then
  Act usually = Act::kAnswer;  // without a script
  int checks = 0;
  int clients_gone = 0;

 private:
  void act(HttpExchange& exchange) {
    Act next = fails_always ? failing : usually;
    if (!script.empty()) {
      next = script.front();
      script.pop_front();
    }
    switch (next) {
      case Act::kAnswer:
        return exchange.respond(200, "Content-Type: application/json\r\n" + more_fields, name_);
      case Act::kStream:
        exchange.start(200, "Content-Type: text/event-stream\r\n");
        exchange.write("data: " + name_ + "\n\n");
        exchange.write("data: [DONE]\n\n");
        return exchange.finish();
      case Act::kCut:
        return exchange.abort();
      case Act::kCutAfterHead:
        exchange.start(200, "Content-Type: text/event-stream\r\n");
        return exchange.abort();
      case Act::kCutMidStream:
        exchange.start(200, "Content-Type: text/event-stream\r\n");
        exchange.write("data: " + name_ + "\n\n");
        return exchange.abort();
      case Act::kHang:
        return exchange.set_observer(this);
      case Act::kNoLength:
        exchange.raw()->start_raw("HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n", false);
        exchange.raw()->write_raw("until close");
        return exchange.raw()->finish_raw();
      case Act::kError:
        return exchange.respond(error_status, "Content-Type: application/json\r\n" + error_fields,
                                "error of " + name_);
      case Act::kErrorNoLength:
        exchange.raw()->start_raw("HTTP/1.1 500 Oh\r\nContent-Type: text/plain\r\n\r\n", false);
        exchange.raw()->write_raw("error of " + name_);
        return exchange.raw()->finish_raw();
      case Act::kErrorThatStalls:
        exchange.start(500, "");
        exchange.write("error");
        return exchange.set_observer(this);
      case Act::kErrorThatIsLong:
        exchange.start(500, "");
        for (int i = 0; i < 100; ++i) exchange.write(std::string(1000, 'x'));
        return exchange.finish();
      case Act::kSay:
        return exchange.respond(200, "Content-Type: application/json\r\n", says);
      case Act::kSayWithoutLength:
        exchange.raw()->start_raw("HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n",
                                  false);
        if (!says.empty()) exchange.raw()->write_raw(says);
        return exchange.raw()->finish_raw();
      case Act::kNoHttp:
        exchange.raw()->start_raw("HTTP/1.1 OK\r\n\r\n", false);
        return exchange.raw()->finish_raw();
      case Act::kOpenStream:
        exchange.start(200, "Content-Type: text/event-stream\r\n");
        for (const std::string& piece : pieces) exchange.write(piece);
        return exchange.set_observer(this);
    }
  }

  EventLoop& loop_;
  const std::string name_;
  std::unique_ptr<HttpServer> server_;
  const uint16_t port_;
};

// Written from every gateway thread; the vectors are read when the others are quiet.
class RecordingProbe final : public GatewayProbe {
 public:
  void on_health_changed(const Endpoint&, bool is_healthy) override {
    healthy += is_healthy ? 1 : -1;
  }
  void on_unwatched(const Endpoint&) override {
    --healthy;
    ++unwatched;
  }
  void on_started() override { ++started; }
  void on_routed(const Endpoint&) override { ++in_flight; }
  void on_released(const Endpoint&) override { --in_flight; }
  void on_retry(const Endpoint&, RetryReason reason, std::string_view) override {
    ++retries;
    last_reason = reason;
  }
  void on_poison(std::string_view id, size_t) override {
    std::lock_guard<std::mutex> lock(mutex_);
    poison.emplace_back(id);
  }
  void on_bad_answer(const BadAnswer& answer) override {
    std::lock_guard<std::mutex> lock(mutex_);
    bad_answers.push_back(std::string(answer.cut ? "cut " : "") + std::to_string(answer.status) +
                          " " + std::string(answer.request_id) + " " +
                          std::string(answer.endpoint) + ": " + std::string(answer.why));
  }
  void on_ended(const EndReport& report) override {
    std::lock_guard<std::mutex> lock(mutex_);
    Finished& ended = finished.emplace_back();
    ended.status = report.status;
    ended.complete = report.ending == Ending::kNatural;
    ended.inference = report.scheduled;
    ended.first_byte = report.first_byte;
    ended.held = report.held;
    ended.prompt_tokens = report.prompt_tokens;
    if (report.prefill != nullptr) ended.prefill = report.prefill->name;
  }
  void on_not_relayed(int, std::string_view) override {}
  void on_outcome(const Request&, int32_t, FlowOutcome outcome, Duration) override {
    std::lock_guard<std::mutex> lock(mutex_);
    outcomes.push_back(outcome);
  }
  void on_two_legs(const TwoLegsReport& report) override {
    std::lock_guard<std::mutex> lock(mutex_);
    legs.push_back({report.handoff.path, std::string(report.refused), report.handoff.prefills,
                    report.handoff.hedged, report.released});
  }
  void on_routed_by_header(const HeaderRoute* route) override {
    std::lock_guard<std::mutex> lock(mutex_);
    routes.push_back(route == nullptr ? "" : route->header + "=" + route->value);
  }
  void on_header_route(const HeaderRouteReport& report) override {
    std::lock_guard<std::mutex> lock(mutex_);
    route_answers.push_back(report.route.header + "=" + report.route.value + " " +
                            std::to_string(report.answer.status));
  }
  void on_left(const Endpoint&) override { ++left; }
  void on_cache_reset(const Endpoint&) override { ++cache_resets; }
  void on_endpoint_refused(const Endpoint&) override { ++refused_endpoints; }
  void forget() {
    healthy = started = in_flight = retries = 0;
    finished.clear();
    outcomes.clear();
    bad_answers.clear();
  }

  std::atomic<int> healthy{0}, started{0}, in_flight{0}, retries{0}, left{0}, refused_endpoints{0},
      unwatched{0}, cache_resets{0};
  std::atomic<RetryReason> last_reason{};
  std::vector<std::string> poison, bad_answers, routes, route_answers;
  // Of each EndReport.
  struct Finished {
    int status = 0;
    bool complete = false;
    bool inference = false;
    std::optional<Duration> first_byte;
    Duration held{};
    std::optional<uint32_t> prompt_tokens;
    std::string prefill;
  };
  std::vector<Finished> finished;
  // Of each TwoLegsReport.
  struct Legs {
    HandoffReport::Path path{};
    std::string refused;
    size_t prefills = 0;
    bool hedged = false;
    bool released = false;
  };
  std::vector<Legs> legs;
  std::vector<FlowOutcome> outcomes;

 private:
  std::mutex mutex_;
};

struct Answer final : HttpCallObserver {
  explicit Answer(EventLoop& event_loop) : loop(event_loop) {}
  void on_head(const HttpHead& received) override { head = received; }
  void on_body(std::string_view bytes) override { body += bytes; }
  void on_end() override { done(); }
  void on_failure(const HttpFailure& reason) override {
    failure = reason;
    done();
  }
  void done() {
    over = true;
    loop.stop();
  }
  std::string field(std::string_view name) const {
    return std::string(head.find(name).value_or(""));
  }

  EventLoop& loop;
  HttpCall* call = nullptr;
  HttpHead head;
  std::string body;
  std::optional<HttpFailure> failure;
  bool over = false;
};

class GatewayTest : public ::testing::Test {
 protected:
  static Endpoint worker_at(uint16_t port) {
    return {"127.0.0.1:" + std::to_string(port), "127.0.0.1", port, {}};
  }

  GatewayTest() : loop_(std::move(EventLoop::create().value())), a_(*loop_, "a"), b_(*loop_, "b") {
    options_.port = 0;
    options_.pool.policy = "round-robin";
    options_.pool.plugins.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    options_.pool.feeds.monitor.interval = options_.pool.feeds.monitor.first_interval =
        std::chrono::milliseconds(2);
    options_.pool.feeds.endpoints = {worker_at(a_.port()), worker_at(b_.port())};
    options_.pool.feeds.eject_outliers = true;
  }
  ~GatewayTest() override {
    client_.reset();
    gateway_.reset();
  }

  void start(int healthy_workers = 2) {
    gateway_ =
        std::move(Gateway::create(*loop_, options_, probe_, [] { return "page\n"; }).value());
    client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", gateway_->port()).value());
    run_until([&] { return probe_.healthy == healthy_workers; });
  }

  // Answers stop the loop, too.
  void run_until(const std::function<bool()>& done) {
    while (!done()) {
      const TimerId tick = loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
      loop_->cancel(tick);
    }
  }

  // For what takes calls of its own to see: tries until it is so, and gives up.
  static bool happens(const std::function<bool()>& event) {
    for (int tries = 0; tries < 10000; ++tries) {
      if (event()) return true;
    }
    return false;
  }

  Answer call(const std::string& head, const std::string& body = "", bool is_head = false) {
    Answer answer(*loop_);
    client_->start(head, body, answer, is_head);
    loop_->run();
    EXPECT_TRUE(answer.over);
    return answer;
  }

  // Starts one and does not wait for its answer.
  std::unique_ptr<Answer> begin(const std::string& body = "{\"prompt\":\"x\",\"stream\":true}",
                                const std::string& fields = "") {
    auto answer = std::make_unique<Answer>(*loop_);
    bodies_.push_back(body);
    heads_.push_back("POST /v1/completions HTTP/1.1\r\nHost: g\r\n" + fields +
                     "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n");
    answer->call = &client_->start(heads_.back(), bodies_.back(), *answer);
    return answer;
  }

  Answer complete(const std::string& body = "{\"prompt\":\"x\",\"stream\":true}") {
    return call(
        "POST /v1/completions HTTP/1.1\r\nHost: g\r\nx-request-id: id-7\r\nContent-Length: " +
            std::to_string(body.size()) + "\r\n\r\n",
        body);
  }

  std::unique_ptr<EventLoop> loop_;
  FakeWorker a_, b_;
  RecordingProbe probe_;
  GatewayOptions options_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<HttpClient> client_;
  std::deque<std::string> heads_, bodies_;  // of what begin() sent
};

}  // namespace kvasir

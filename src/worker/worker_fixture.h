// A worker and a client on one loop, for tests. Model time runs a thousand times faster than life.
#pragma once

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "net/http/http_client.h"
#include "net/io/event_loop.h"
#include "wire/prometheus_text.h"
#include "worker/worker_server.h"

namespace kvasir {

class WorkerFixture : public ::testing::Test {
 protected:
  using Json = nlohmann::ordered_json;

  // One request under way.
  class Call final : public HttpCallObserver {
   public:
    void on_head(const HttpHead& answer) override { status = answer.status(); }
    void on_body(std::string_view bytes) override { body += bytes; }
    void on_end() override { done(); }
    void on_failure(const HttpFailure& failure) override {
      failed = failure.message;
      done();
    }
    Json json() const { return Json::parse(body, nullptr, false); }
    // The events of a stream without [DONE], which must be its last.
    std::vector<Json> events() const {
      std::vector<Json> events;
      for (size_t begin = 0; begin < body.size();) {
        const size_t end = body.find("\n\n", begin);
        const std::string event = body.substr(begin + 6, end - begin - 6);
        begin = end + 2;
        if (event != "[DONE]") events.push_back(Json::parse(event));
        EXPECT_EQ(event == "[DONE]", begin >= body.size()) << event;
      }
      return events;
    }

    int status = 0;
    std::string body, failed;
    bool ended = false;

   private:
    friend class WorkerFixture;
    void done() {
      ended = true;
      fixture->stop_when_done();
    }
    WorkerFixture* fixture = nullptr;
    std::string head, sent;
    HttpCall* call = nullptr;
  };

  WorkerFixture() : loop_(std::move(EventLoop::create().value())) {
    start_worker(default_options());
  }

  static WorkerOptions default_options() {
    WorkerOptions options;
    options.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    options.profile.max_model_len = 4096;
    options.model = {{"sim"}, "sim", 4096};
    options.time_scale = 1000;
    return options;
  }

  void stop_worker() {
    client_.reset();
    worker_.reset();
  }
  void start_worker(WorkerOptions options, KvEventWriter* events = nullptr) {
    stop_worker();
    worker_ = std::make_unique<WorkerServer>(
        *loop_, std::move(listen_tcp("127.0.0.1", 0, false).value()), std::move(options), events);
    client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", worker_->port()).value());
  }

  // Starts a request; finish() runs the loop until all are done.
  Call& begin(const std::string& method, const std::string& path, const std::string& body = {},
              const std::string& fields = {}) {
    Call& call = calls_.emplace_back();
    call.fixture = this;
    call.sent = body;
    call.head = method + " " + path + " HTTP/1.1\r\nHost: a\r\n" + fields;
    if (!body.empty()) {
      call.head +=
          "Content-Type: application/json\r\nContent-Length: " + std::to_string(body.size()) +
          "\r\n";
    }
    call.head += "\r\n";
    call.call = &client_->start(call.head, call.sent, call);
    return call;
  }
  void finish() {
    running_ = true;
    stop_when_done();
    loop_->run();
    running_ = false;
  }
  const Call& ask(const std::string& method, const std::string& path, const std::string& body = {},
                  const std::string& fields = {}) {
    Call& call = begin(method, path, body, fields);
    finish();
    return call;
  }
  const Call& post(const std::string& path, const std::string& body,
                   const std::string& fields = {}) {
    return ask("POST", path, body, fields);
  }
  Json complete(const std::string& body) { return post("/v1/completions", body).json(); }
  Json chat(const std::string& body) { return post("/v1/chat/completions", body).json(); }

  // Gives a request up.
  void cancel(Call& call) {
    call.ended = true;
    call.call->cancel();
  }
  // Runs the loop until `condition` holds.
  template <class Condition>
  void run_until(Condition condition) {
    std::function<void()> check = [&] {
      if (condition()) return loop_->stop();
      loop_->after(std::chrono::milliseconds(1), check);
    };
    loop_->after(Duration::zero(), check);
    loop_->run();
  }
  std::optional<double> metric(const std::string& name) {
    return sum_metric(ask("GET", "/metrics").body, name);
  }

  std::unique_ptr<EventLoop> loop_;
  std::unique_ptr<WorkerServer> worker_;
  std::unique_ptr<HttpClient> client_;

 private:
  void stop_when_done() {
    const bool all =
        std::all_of(calls_.begin(), calls_.end(), [](const Call& call) { return call.ended; });
    if (running_ && all) loop_->stop();
  }

  std::deque<Call> calls_;
  bool running_ = false;
};

}  // namespace kvasir

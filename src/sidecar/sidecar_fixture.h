// For tests of a whole sidecar: workers that answer as they are told, and a client.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "net/http/http_fixture.h"
#include "sidecar/sidecar.h"

namespace kvasir {

inline constexpr std::string_view kAnswer =
    R"({"kv_transfer_params":{"do_remote_prefill":true,"remote_block_ids":[[1,2]],)"
    R"("remote_engine_id":"e","remote_request_id":"r","remote_host":"h","remote_port":5600}})";
inline constexpr std::string_view kEvents = "data: {\"a\":1}\n\ndata: [DONE]\n\n";

// A worker that answers as it is told, and remembers what it was asked.
class ToldWorker final : public HttpHandler, public HttpExchange::Observer {
 public:
  explicit ToldWorker(EventLoop& loop)
      : ToldWorker(loop, std::move(listen_tcp("127.0.0.1", 0, false).value())) {}
  ToldWorker(EventLoop& loop, Descriptor listener) : server_(loop, std::move(listener), *this) {}

  void on_request(HttpExchange& exchange) override {
    ++requests;
    const HttpHead& head = exchange.head();
    line = std::string(head.method()) + " " + std::string(head.target());
    fields.clear();
    for (size_t i = 0; i < head.field_count(); ++i) {
      fields.emplace(lower_case(head.field(i).name), head.field(i).value);
    }
    body = exchange.body();
    bodies.push_back(body);
    if (breaks_off) return exchange.abort();
    if (!next.empty()) {
      answer = next.front();
      next.erase(next.begin());
    }
    if (holds) return exchange.set_observer(this);
    if (!streams) {
      return exchange.respond(status, "Content-Type: application/json\r\n" + more_fields, answer);
    }
    exchange.start(200, "Content-Type: text/event-stream\r\n" + more_fields);
    exchange.write(answer);
    if (stays_open) {
      open = &exchange;
      return exchange.set_observer(this);
    }
    breaks ? exchange.abort() : exchange.finish();
  }
  Refusal on_refused(int, std::string_view) override { return {}; }
  void on_client_gone() override {
    ++left;
    open = nullptr;
  }
  std::string address() const { return "127.0.0.1:" + std::to_string(server_.port()); }
  uint16_t port() const { return server_.port(); }

  int status = 200;
  std::string answer = "{}";
  bool holds = false, streams = false, breaks = false, breaks_off = false, stays_open = false;
  HttpExchange* open = nullptr;   // that stays so
  std::vector<std::string> next;  // answers to come, before `answer` stays
  std::string more_fields;
  std::vector<std::string> bodies;  // of all requests
  int requests = 0, left = 0;
  std::string line, body;
  std::multimap<std::string, std::string> fields;

 private:
  HttpServer server_;
};

class ToldProbe final : public SidecarProbe {
 public:
  void on_done(const LegsReport& report) override {
    status = report.status;
    is_cut = report.is_cut;
    path = report.handoff == nullptr ? HandoffReport::Path::kUndecided : report.handoff->path;
    prefiller = report.prefiller;
    why = report.why;
    failed_at = report.failed_at;
    ++done;
  }
  void on_started() override { ++started; }
  void on_leg(LegStage stage) override {
    ++(stage == LegStage::kPrefill ? prefill_legs : decode_legs);
  }
  void on_connection_failed(LegStage, std::string_view) override { ++connections_failed; }
  void on_refused(int, std::string_view why) override { refused = why; }
  void on_blocked(std::string_view) override { ++blocked; }
  void on_certificate_read(const std::string&) override { ++certificates; }

  int started = 0, prefill_legs = 0, decode_legs = 0, connections_failed = 0;
  int blocked = 0, certificates = 0;
  LegStage failed_at{};
  int status = 0, done = 0;
  bool is_cut = false;
  HandoffReport::Path path{};
  std::string prefiller, why, refused;
};

class SidecarTest : public ::testing::Test {
 protected:
  void start() {
    options_.host = "127.0.0.1";
    options_.port = 0;
    options_.server.half_close_patience = std::chrono::milliseconds(10);
    options_.decoder = {"127.0.0.1", decoder_.port()};
    sidecar_ = std::move(Sidecar::create(*loop_, options_, told_).value());
    client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", sidecar_->port()).value());
  }
  Recorder ask(std::string_view method, std::string_view target, std::string_view fields,
               std::string_view body = {}) {
    std::string head = std::string(method) + " " + std::string(target) + " HTTP/1.1\r\nHost: h\r\n";
    head.append(fields);
    if (!body.empty()) head += "Content-Length: " + std::to_string(body.size()) + "\r\n";
    head += "\r\n";
    Recorder recorder(*loop_);
    client_->start(head, body, recorder);
    loop_->run();
    return recorder;
  }
  // Until `done`; what is expected of it says when it never comes.
  void run_until(const std::function<bool()>& done) {
    for (int turns = 0; !done() && turns < 5000; ++turns) {
      loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
    }
    EXPECT_TRUE(done());
  }
  // A request whose client can leave. `fields`: with line ends.
  std::unique_ptr<RawClient> begin(std::string_view path, std::string_view fields,
                                   std::string_view body) {
    auto client = std::make_unique<RawClient>(sidecar_->port());
    client->send("POST " + std::string(path) +
                 " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" +
                 std::string(fields) + "\r\n" + std::string(body));
    return client;
  }
  Recorder complete(std::string_view prefillers, std::string_view body) {
    const std::string field =
        prefillers.empty() ? "" : "x-prefiller-host-port: " + std::string(prefillers) + "\r\n";
    return ask("POST", "/v1/completions", field, body);
  }
  std::string free_address() {
    const Descriptor socket = std::move(listen_tcp("127.0.0.1", 0, false).value());
    return "127.0.0.1:" + std::to_string(local_port(socket));
  }

  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  ToldWorker prefiller_{*loop_}, decoder_{*loop_};
  ToldProbe told_;
  SidecarOptions options_;
  std::unique_ptr<Sidecar> sidecar_;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace kvasir

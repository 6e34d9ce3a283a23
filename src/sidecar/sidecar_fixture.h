// For tests of a whole sidecar, with workers that answer as they are told.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "legs/leg_worker_fixture.h"
#include "net/http/http_fixture.h"
#include "sidecar/sidecar.h"

namespace kvasir {

inline constexpr std::string_view kAnswer =
    R"({"kv_transfer_params":{"do_remote_prefill":true,"remote_block_ids":[[1,2]],)"
    R"("remote_engine_id":"e","remote_request_id":"r","remote_host":"h","remote_port":5600}})";
inline constexpr std::string_view kEvents = "data: {\"a\":1}\n\ndata: [DONE]\n\n";

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
  void on_refused(int, std::string_view reason) override { refused = reason; }
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
    return kvasir::ask(*loop_, *client_, method, target, fields, body);
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
  LegWorkerFixture prefiller_{*loop_}, decoder_{*loop_};
  ToldProbe told_;
  SidecarOptions options_;
  std::unique_ptr<Sidecar> sidecar_;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace kvasir

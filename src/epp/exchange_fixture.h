// For tests of exchanges: a whole picker over endpoints that count as healthy, and streams whose
// messages are written down.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "epp/epp.h"
#include "net/io/event_loop.h"
#include "wire/ext_proc/ext_proc_client.h"

namespace kvasir {

inline constexpr std::string_view kBody =
    R"({"model":"m","prompt":"some words","seed":9007199254740993})";

inline ExtProcContext with_modes(ExtProcBodyMode request, ExtProcBodyMode response) {
  ExtProcContext context;
  context.protocol = ExtProcProtocol{request, response, false};
  return context;
}

class RecordingEppProbe final : public EppProbe {
 public:
  void on_health_changed(const Endpoint&, bool) override {}
  void on_stream_started() override { ++started; }
  void on_stream_ended(GrpcCode, Duration) override { ++ended; }
  void on_picked(const PickReport& report) override {
    picked.push_back(index_of(report.decision.endpoint));
    cached_tokens = report.decision.cached_tokens;
  }
  void on_refused(const RefusalReport& report) override {
    refused.push_back(report.refusal.status);
  }
  void on_answer_processed(Duration) override {}
  void on_ended(const EndReport& report) override {
    if (report.endpoint != nullptr && report.scheduled) endings.push_back(report.ending);
  }
  void on_configuration_read(std::string_view error) override { configuration_error = error; }

  int started = 0, ended = 0;
  std::vector<uint32_t> picked;
  uint32_t cached_tokens = 0;
  std::vector<int> refused;
  std::vector<Ending> endings;
  std::string configuration_error;
};

// One ext_proc stream as Envoy would have it.
class FakeStream final : public GrpcCall {
 public:
  explicit FakeStream(Epp& epp) { epp.service().on_call(*this); }
  ~FakeStream() {
    if (!finished_) observer_->on_gone();
  }

  void set_observer(Observer& observer) override { observer_ = &observer; }
  std::string_view path() const override { return ""; }
  std::optional<std::string_view> metadata(std::string_view) const override { return std::nullopt; }
  void send(std::string_view first, std::string_view second) override {
    sent_.push_back(std::string(first).append(second));
  }
  void finish(GrpcCode code, std::string_view) override {
    finished_ = true;
    code_ = code;
  }
  size_t unsent_bytes() const override { return 0; }

  using Headers = std::vector<ExtProcHeader>;
  void headers(Headers fields, bool end = false, ExtProcContext context = {},
               ExtProcSide side = ExtProcSide::kRequest) {
    const bool has_path = std::any_of(fields.begin(), fields.end(),
                                      [](const auto& field) { return field.key == ":path"; });
    if (side == ExtProcSide::kRequest && !has_path) fields.push_back({":path", "/v1/completions"});
    write_headers_request(side, fields, end, context, message_);
    observer_->on_message(message_);
  }
  void body(std::string_view bytes, bool end = true, ExtProcContext context = {},
            ExtProcSide side = ExtProcSide::kRequest) {
    write_body_request(side, bytes, end, context, message_);
    observer_->on_message(message_);
  }
  void trailers(ExtProcSide side) {
    write_trailers_request(side, {}, {}, message_);
    observer_->on_message(message_);
  }
  void raw(std::string_view bytes) { observer_->on_message(bytes); }

  // The i-th answer; its views live as long as the stream.
  ExtProcAnswer answer(size_t i) const {
    EXPECT_LT(i, sent_.size());
    return i < sent_.size() ? read_ext_proc_answer(sent_[i]).value() : ExtProcAnswer();
  }
  size_t answers() const { return sent_.size(); }
  bool finished() const { return finished_; }
  GrpcCode code() const { return code_; }

 private:
  Observer* observer_ = nullptr;
  bool finished_ = false;
  GrpcCode code_ = GrpcCode::kOk;
  std::string message_;
  std::vector<std::string> sent_;
};

class ExchangeTest : public ::testing::Test {
 protected:
  ExchangeTest() : loop_(std::move(EventLoop::create().value())) {
    options_.host = "127.0.0.1";
    options_.grpc_port = options_.health_port = options_.metrics_port = 0;
    options_.pool.feeds.check_health = false;
    options_.pool.feeds.endpoints = {{"a", "10.0.0.1", 8000, {}}, {"b", "10.0.0.2", 8000, {}}};
    options_.pool.plugins.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    options_.pool.config = "plugins: [{type: active-request-scorer}]\n";
    options_.pool.config =
        "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n" + options_.pool.config;
    options_.pool.config_name = "test";
  }

  Epp& epp() {
    if (!epp_) {
      epp_ = std::move(
          Epp::create(*loop_, options_, probe_, [] { return std::string("the page"); }).value());
    }
    return *epp_;
  }

  // What the pick came down to, wherever it stands in the answer.
  static std::string destination(const ExtProcAnswer& answer) {
    return std::string(answer.set_header("x-gateway-destination-endpoint").value_or("(none)"));
  }

  std::unique_ptr<EventLoop> loop_;
  RecordingEppProbe probe_;
  EppOptions options_;
  std::unique_ptr<Epp> epp_;
};

}  // namespace kvasir

// A whole picker and one stream whose messages are the input: raw bytes, or well-formed messages in
// any order.
#include <cstddef>
#include <cstdint>
#include <protozero/pbf_writer.hpp>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "epp/epp.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

class SilentProbe final : public EppProbe {
 public:
  void on_health_changed(const Endpoint&, bool) override {}
  void on_stream_started() override { ++started; }
  void on_stream_ended(GrpcCode, Duration) override { ++ended; }
  void on_picked(const PickReport&) override { ++picked; }
  void on_refused(const RefusalReport&) override {}
  void on_answer_processed(Duration) override {}
  void on_ended(const EndReport& report) override { answered += report.endpoint != nullptr; }
  void on_configuration_read(std::string_view) override {}

  uint64_t started = 0;
  uint64_t ended = 0;
  uint64_t picked = 0;
  uint64_t answered = 0;
};

class FuzzedCall final : public GrpcCall {
 public:
  void set_observer(Observer& observer) override { observer_ = &observer; }
  std::string_view path() const override { return ""; }
  std::optional<std::string_view> metadata(std::string_view) const override { return std::nullopt; }
  void send(std::string_view first, std::string_view second) override {
    KVASIR_ASSERT(!finished_, "nothing is sent behind the end");
    bytes_ += first.size() + second.size();
  }
  void finish(GrpcCode, std::string_view) override {
    KVASIR_ASSERT(!finished_, "a call ends once");
    finished_ = true;
  }
  size_t unsent_bytes() const override { return 0; }

  Observer& observer() { return *observer_; }
  bool finished() const { return finished_; }

 private:
  Observer* observer_ = nullptr;
  bool finished_ = false;
  size_t bytes_ = 0;
};

struct FuzzedPicker {
  FuzzedPicker() {
    EppOptions options;
    options.host = "127.0.0.1";
    options.grpc_port = options.health_port = options.metrics_port = 0;
    options.pool.feeds.check_health = false;
    options.body_bytes_max = 4096;
    options.pool.feeds.endpoints = {{"a", "127.0.0.1", 1, {}}, {"b", "127.0.0.1", 2, {}}};
    options.pool.plugins.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    loop = std::move(EventLoop::create().value());
    epp = std::move(Epp::create(*loop, options, probe, [] { return std::string(); }).value());
  }

  SilentProbe probe;
  std::unique_ptr<EventLoop> loop;
  std::unique_ptr<Epp> epp;
};

// Field of ProcessingRequest by the low bits of a byte, with `text` as body or header value.
std::string well_formed(uint8_t choice, std::string_view text) {
  const uint32_t field = 2 + choice % 6;  // request_headers ... response_trailers
  std::string message;
  protozero::pbf_writer writer(message);
  if (choice & 0x40) {
    protozero::pbf_writer protocol(writer, 11);
    protocol.add_enum(1, choice % 5);
    protocol.add_enum(2, choice % 3);
    protocol.add_bool(3, choice & 8);
  }
  protozero::pbf_writer part(writer, field);
  if (field == 4 || field == 5) {
    part.add_bytes(1, text.data(), text.size());
    part.add_bool(2, (choice & 0x80) != 0);
  } else {
    protozero::pbf_writer map(part, 1);
    protozero::pbf_writer header(map, 1);
    header.add_string(1, (choice & 0x20) ? "content-length" : ":path");
    header.add_bytes(3, text.data(), text.size());
  }
  if (field < 4 && (choice & 0x80)) {
    protozero::pbf_writer again(writer, field);
    again.add_bool(3, true);
  }
  return message;
}

void play(FuzzedPicker& picker, std::string_view script) {
  FuzzedCall call;
  picker.epp->service().on_call(call);
  while (script.size() >= 2 && !call.finished()) {
    const auto choice = static_cast<uint8_t>(script[0]);
    const size_t size = std::min<size_t>(static_cast<uint8_t>(script[1]), script.size() - 2);
    const std::string_view text = script.substr(2, size);
    script.remove_prefix(2 + size);
    if (choice == 0xff) return call.observer().on_half_close();
    if (choice == 0xfe) {
      call.observer().on_message(text);
    } else if (choice == 0xfd) {
      call.observer().on_message(well_formed(0x80 | 2, R"({"model":"m","prompt":"some words"})"));
    } else {
      call.observer().on_message(well_formed(choice, text));
    }
  }
  if (!call.finished()) call.observer().on_gone();
}

}  // namespace
}  // namespace kvasir

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir;
  static FuzzedPicker* picker = new FuzzedPicker();
  play(*picker, {reinterpret_cast<const char*>(data), size});
  KVASIR_ASSERT(picker->probe.started == picker->probe.ended, "every stream ends once");
  KVASIR_ASSERT(picker->probe.answered <= picker->probe.picked, "an answer belongs to a pick");
  return 0;
}

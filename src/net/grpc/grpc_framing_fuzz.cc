// Cuts a byte stream into pieces at places the input chooses: the messages found must not depend on them.
#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "base/assert.h"
#include "net/grpc/grpc_framing.h"

namespace {

using kvasir::GrpcDeframer;

class Collector final : public GrpcDeframer::Sink {
 public:
  bool on_message(std::string_view message) override {
    messages.emplace_back(message);
    return true;
  }
  std::vector<std::string> messages;
};

struct Outcome {
  GrpcDeframer::Failure failure = GrpcDeframer::Failure::kNone;
  std::vector<std::string> messages;
  bool inside = false;
};

Outcome read(std::string_view input, size_t step) {
  GrpcDeframer deframer(1000);
  Collector collector;
  Outcome outcome;
  while (!input.empty() && outcome.failure == GrpcDeframer::Failure::kNone) {
    outcome.failure = deframer.feed(input.substr(0, step), collector);
    input.remove_prefix(std::min(step, input.size()));
  }
  outcome.messages = std::move(collector.messages);
  outcome.inside = deframer.inside_message();
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const Outcome whole = read(input, input.size());
  const Outcome parts = read(input, 1 + data[0] % 64);
  KVASIR_ASSERT(whole.failure == parts.failure, "pieces do not change the verdict");
  KVASIR_ASSERT(whole.messages == parts.messages, "pieces do not change the messages");
  if (whole.failure == GrpcDeframer::Failure::kNone) {
    KVASIR_ASSERT(whole.inside == parts.inside, "pieces do not change what is left");
  }
  return 0;
}

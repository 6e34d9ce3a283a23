// Frames of messages, and topics: what is read of them lies within them, and nothing crashes. The
// input's first byte is the number of frames, then each frame's length comes before it.
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "kvevents/event_address.h"
#include "kvevents/event_message.h"

namespace {

using kvasir::ZmqFrames;

bool is_within(std::string_view part, std::string_view whole) {
  return part.empty() ||
         (part.data() >= whole.data() && part.data() + part.size() <= whole.data() + whole.size());
}

std::vector<std::string_view> frames_of(std::string_view input) {
  std::vector<std::string_view> frames;
  size_t count = input.empty() ? 0 : static_cast<uint8_t>(input[0]) % 9;
  input.remove_prefix(input.empty() ? 0 : 1);
  for (; count > 0 && !input.empty(); --count) {
    const size_t size = static_cast<uint8_t>(input[0]);
    frames.push_back(input.substr(1, size));
    input.remove_prefix(1 + frames.back().size());
  }
  return frames;
}

void read_topic(std::string_view topic) {
  const kvasir::EventTopic read = kvasir::read_event_topic(topic);
  KVASIR_ASSERT(is_within(read.pod, topic) && is_within(read.model, topic), "views of the topic");
  KVASIR_ASSERT(!read.port || *read.port != 0, "a port is none or from 1 on");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const std::vector<std::string_view> frames = frames_of(input);
  if (const auto message = kvasir::read_event_message(frames)) {
    KVASIR_ASSERT(is_within(message->batch, input) && is_within(message->topic, input), "in place");
    KVASIR_ASSERT(message->json || message->number != UINT64_MAX, "-1 is no number of a batch");
    read_topic(message->topic);
  }
  if (const auto message = kvasir::read_replay_message(frames)) {
    KVASIR_ASSERT(is_within(message->batch, input), "in place");
    KVASIR_ASSERT(message->end || !message->batch.empty(), "an empty batch is the end");
  }
  read_topic(input);
  static_cast<void>(kvasir::event_address(input, {"name", "host", 80}, 1));
  return 0;
}

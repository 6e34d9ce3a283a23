// What the frames of a ZeroMQ message with KV events say.
//
// A published message is [topic, number, batch], the number in 8 bytes, big-endian. A replayed one
// is ["", topic, number, batch], or without the topic (vLLM before the middle of 2026), and the end
// of a replay is a message with number -1 or without a batch. So the last two frames are read, and
// those before them may be missing. Publishers of the tutorial's JSON events may leave out the
// number, too. ["", number] asks for all batches from that one on.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "net/zmq/zmq_socket.h"

namespace kvasir {

struct EventMessage {
  std::string_view topic;
  uint64_t number = 0;
  std::string_view batch;
  bool json = false;  // then `number` says nothing
};

Result<EventMessage> read_event_message(ZmqFrames frames);

struct ReplayMessage {
  bool end = false;
  std::optional<std::string_view> topic;  // nullopt: the answer does not say
  uint64_t number = 0;
  std::string_view batch;
};

Result<ReplayMessage> read_replay_message(ZmqFrames frames);

}  // namespace kvasir

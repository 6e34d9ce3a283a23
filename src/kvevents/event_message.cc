#include "kvevents/event_message.h"

#include <string>

#include "base/big_endian.h"

namespace kvasir {
namespace {

constexpr uint64_t kEndNumber = UINT64_MAX;

std::optional<uint64_t> read_number(std::string_view frame) {
  if (frame.size() != 8) return std::nullopt;
  return from_big_endian(frame);
}

// No batch in msgpack begins so.
bool is_json(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  return first != std::string_view::npos && (text[first] == '{' || text[first] == '[');
}

Error not_a_number(std::string_view frame) {
  return Error{"its number has " + std::to_string(frame.size()) + " bytes instead of 8"};
}

}  // namespace

Result<EventMessage> read_event_message(ZmqFrames frames) {
  if (frames.empty()) return Error{"it has no frames, or too many"};
  EventMessage message;
  message.batch = frames.back();
  message.json = is_json(message.batch);
  if (frames.size() > 2 || (message.json && frames.size() == 2)) message.topic = frames.front();
  if (message.json) return message;
  if (frames.size() < 2) return Error{"it has one frame, and its batch is not JSON"};
  const std::optional<uint64_t> number = read_number(frames[frames.size() - 2]);
  if (!number) return not_a_number(frames[frames.size() - 2]);
  if (*number == kEndNumber) return Error{"its number is -1"};
  if (message.batch.empty()) return Error{"its batch is empty"};
  message.number = *number;
  return message;
}

Result<ReplayMessage> read_replay_message(ZmqFrames frames) {
  if (frames.size() < 2) return Error{"it has too few frames, or too many"};
  ReplayMessage message;
  message.batch = frames.back();
  const std::optional<uint64_t> number = read_number(frames[frames.size() - 2]);
  message.end = message.batch.empty() || number == kEndNumber;
  if (message.end) return message;
  if (!number) return not_a_number(frames[frames.size() - 2]);
  message.number = *number;
  // Of three frames the first is the empty one of every answer, or a topic without it.
  const size_t before = frames.size() - 2;
  if (before > 1 || (before == 1 && !frames.front().empty())) message.topic = frames[before - 1];
  return message;
}

}  // namespace kvasir

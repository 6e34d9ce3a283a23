// The first token of a stream, which the prefill worker has generated, sent before the decode
// worker has its KV. The decode worker generates it once more; the two must be the same.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "wire/request/request_api.h"

namespace kvasir {

// Of a request with LegBodies::has_certain_first_token().
class FirstToken {
 public:
  // `answer`: the prefill worker's, whole. nullopt: there is no token in it to go on from: its text
  // is empty or half a character, or the answer ends with it.
  static std::optional<FirstToken> read(RequestApi api, std::string_view answer);

  // The stream's first events.
  std::string events() const;

  // What goes on of the decode worker's stream, in any pieces; valid until the next call. Its
  // events are held back until they have repeated the token. nullopt: it says something else, and
  // the stream that the client has begun to read cannot be gone on with.
  std::optional<std::string_view> feed(std::string_view bytes);
  // What is held back, at the end.
  std::string_view rest() const { return held_; }

 private:
  FirstToken() = default;
  enum class Line : uint8_t { kDropped, kKept, kOther };
  Line read_line(std::string_view line);
  std::string event(std::string_view text, std::string_view finish_reason) const;

  static constexpr size_t kHeldBytesMost = 256 * 1024;

  bool is_chat_ = false;
  std::string id_, created_, model_;  // JSON, as the prefill worker says them
  std::string text_;                  // of the token
  size_t repeated_ = 0;               // how much of it the decode worker has said
  bool is_over_ = false;              // all of it, so everything else goes on
  bool drops_blank_line_ = false;     // behind an event that was dropped
  std::string held_, out_;
};

}  // namespace kvasir

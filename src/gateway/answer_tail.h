// Remembers how an answer ends, to tell whether a client that leaves had all of it. A stream's last
// event comes before its framing says so, and many clients hang up there.
#pragma once

#include <algorithm>
#include <array>
#include <cstring>
#include <string_view>

namespace kvasir {

class AnswerTail {
 public:
  // The next bytes of the body.
  void look(std::string_view bytes) {
    // The Responses API's last event is as long as the whole answer: its name is what comes first.
    last_event_began_ = last_event_began_ || bytes.starts_with("event: response.completed") ||
                        bytes.starts_with("event: response.incomplete");
    const size_t taken = std::min(bytes.size(), kBytes);
    const size_t kept = std::min(size_, kBytes - taken);
    std::memmove(tail_.data(), tail_.data() + (size_ - kept), kept);
    std::memcpy(tail_.data() + kept, bytes.data() + (bytes.size() - taken), taken);
    size_ = kept + taken;
  }

  // Whether the last event of a stream is complete: "data: [DONE]", or the message_stop of the
  // Messages API.
  bool is_end_of_stream() const {
    std::string_view tail(tail_.data(), size_);
    const size_t last = tail.find_last_not_of("\r\n");
    if (last == std::string_view::npos || last + 1 == tail.size())
      return false;  // no end of an event
    if (last_event_began_) return tail.ends_with("\n\n") || tail.ends_with("\r\n\r\n");
    tail = tail.substr(0, last + 1);
    return tail.ends_with("data: [DONE]") || tail.ends_with("data:[DONE]") ||
           tail.ends_with("\"message_stop\"}") || tail.ends_with("\"message_stop\" }");
  }

 private:
  static constexpr size_t kBytes = 24;  // the longest end above, and an empty line

  std::array<char, kBytes> tail_{};
  size_t size_ = 0;
  bool last_event_began_ = false;
};

}  // namespace kvasir

// Counts the events of a stream as it passes, in whatever pieces: the lines that begin with
// "data:". Engines write one for each token or few, so it says about how long an answer is whose
// usage was not asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

namespace kvasir {

class StreamEvents {
 public:
  // The next bytes of the body.
  void look(std::string_view bytes) {
    while (!bytes.empty()) {
      if (matched_ < kBegin.size()) {
        matched_ = bytes.front() == kBegin[matched_] ? matched_ + 1 : kOther;
        events_ += matched_ == kBegin.size();
        if (matched_ == kOther) continue;  // that byte may end the line
        bytes.remove_prefix(1);
        continue;
      }
      const void* end = std::memchr(bytes.data(), '\n', bytes.size());
      if (end == nullptr) return;
      bytes.remove_prefix(static_cast<size_t>(static_cast<const char*>(end) - bytes.data()) + 1);
      matched_ = 0;
    }
  }

  uint64_t count() const { return events_; }

 private:
  static constexpr std::string_view kBegin = "data:";
  static constexpr size_t kOther = 64;  // until the next line

  size_t matched_ = 0;  // bytes of kBegin since the line's begin
  uint64_t events_ = 0;
};

}  // namespace kvasir

// Looks at the beginning of a decoder's answer for "finish_reason": "cache_threshold": it has less
// of the prompt in its caches than the request's cache_hit_threshold, and has generated nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/sse_scanner.h"

namespace kvasir {

class ThresholdLook final : private SseScanner::Sink {
 public:
  enum class Verdict : uint8_t {
    kUndecided,  // more of the answer is needed
    kAnswer,     // it is the client's, from its first byte on
    kBelow,      // the prompt is to be prefilled
  };

  // A stream says it in one of its first events; an answer that is none and grows beyond the limit
  // has been generated.
  static constexpr size_t kEventsMost = 4;
  static constexpr size_t kAnswerBytesMost = 1024 * 1024;

  explicit ThresholdLook(bool is_stream) : is_stream_(is_stream), scanner_(kAnswerBytesMost) {}

  // Of the body, in any pieces; end() when it is whole. Nothing after a verdict.
  Verdict feed(std::string_view bytes);
  Verdict end();

 private:
  void on_event(std::string_view data) override;

  const bool is_stream_;
  SseScanner scanner_;
  size_t events_ = 0;
  std::string body_;  // of an answer that is no stream
  Verdict verdict_ = Verdict::kUndecided;
};

}  // namespace kvasir

// Reads a chunked body (RFC 9112 §7.1) as it arrives, and keeps none of its bytes. Private to net/.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace kvasir {

class Http1Chunks {
 public:
  // Takes the data of chunks; the view is valid during the call.
  class Sink {
   public:
    virtual ~Sink() = default;
    virtual void on_body(std::string_view bytes) = 0;
  };
  enum class Status : uint8_t { kMore, kTrailers, kComplete, kMalformed, kTooLarge };

  // `framing_bytes_max`: of chunk extensions, as far as they exceed the data beside them, and
  // trailer fields.
  explicit Http1Chunks(size_t framing_bytes_max) : framing_bytes_max_(framing_bytes_max) {}
  void reset() { *this = Http1Chunks(framing_bytes_max_); }

  // Consumes from the front of `input`, all of it unless the status is another than kMore. Stops
  // with kTrailers where trailer fields begin, or may begin; then goes on in the next call. Trailer
  // fields are checked and dropped.
  size_t feed(std::string_view input, Sink& sink);
  Status status() const { return status_; }
  // The next bytes belong to trailer fields, or to the last line.
  bool in_trailers() const { return state_ >= State::kTrailerFirst; }

 private:
  enum class State : uint8_t {
    kSizeFirst,  // its first digit
    kSize,
    kBlank,  // white space behind the size, before an extension
    kExtension,
    kSizeEnd,  // the line feed of the size's line
    kData,
    kDataEnd,
    kDataLineFeed,
    kTrailerFirst,  // the first byte of a trailer field, or of the last line
    kTrailerName,
    kTrailerValue,
    kTrailerEnd,
    kLastLineFeed,
  };

  bool take(char c);
  bool take_digit(char c);
  void go_to(State state) { state_ = state; }
  bool end_size_line();
  bool count_framing();
  bool fail(Status status) {
    status_ = status;
    return false;
  }

  size_t framing_bytes_max_;
  Status status_ = Status::kMore;
  State state_ = State::kSizeFirst;
  uint64_t left_ = 0;  // of the chunk; its size while that is read
  uint32_t digits_ = 0;
  uint64_t framing_bytes_ = 0;
};

}  // namespace kvasir

#include "net/http/http1_chunks.h"

#include <algorithm>

#include "base/text.h"
#include "net/http/http1_grammar.h"

namespace kvasir {
namespace {

// Of a chunk's size, leading zeros included: it fits 64 bits.
constexpr uint32_t kSizeDigitsMax = 16;
// What each chunk may have in extensions without being counted, besides as much as its data.
constexpr uint64_t kFreeFramingBytes = 16;

bool is_text(char c) {
  return c == '\t' || (static_cast<unsigned char>(c) >= ' ' && c != 0x7f);
}

}  // namespace

size_t Http1Chunks::feed(std::string_view input, Sink& sink) {
  if (status_ == Status::kTrailers) status_ = Status::kMore;
  size_t used = 0;
  while (used < input.size()) {
    if (state_ == State::kData) {
      const size_t taken = std::min<uint64_t>(left_, input.size() - used);
      sink.on_body(input.substr(used, taken));
      used += taken;
      left_ -= taken;
      if (left_ == 0) go_to(State::kDataEnd);
      continue;
    }
    if (!take(input[used])) return used;
    ++used;
    if (status_ == Status::kComplete) return used;
    if (status_ == Status::kTrailers) {
      if (!input.substr(used).starts_with("\r\n")) return used;
      status_ = Status::kComplete;  // the usual end, in one piece
      return used + 2;
    }
  }
  return used;
}

// Takes one byte of framing. False: it must not be there.
bool Http1Chunks::take(char c) {
  switch (state_) {
    case State::kSizeFirst:
      left_ = digits_ = 0;
      go_to(State::kSize);
      return take_digit(c) || fail(Status::kMalformed);
    case State::kSize:
      if (take_digit(c)) return true;
      [[fallthrough]];
    case State::kBlank:
      if (c == ';')
        go_to(State::kExtension);
      else if (is_blank(c))
        go_to(State::kBlank);
      else if (c == '\r' && state_ == State::kSize)
        go_to(State::kSizeEnd);
      else
        return fail(Status::kMalformed);
      return c == '\r' || count_framing();
    case State::kExtension:
      if (c == '\r') {
        go_to(State::kSizeEnd);
        return true;
      }
      return is_text(c) ? count_framing() : fail(Status::kMalformed);
    case State::kSizeEnd:
      return c == '\n' ? end_size_line() : fail(Status::kMalformed);
    case State::kDataEnd:
      go_to(State::kDataLineFeed);
      return c == '\r' || fail(Status::kMalformed);
    case State::kDataLineFeed:
      go_to(State::kSizeFirst);
      return c == '\n' || fail(Status::kMalformed);
    case State::kTrailerFirst:
      if (c == '\r') {
        go_to(State::kLastLineFeed);
        return true;
      }
      go_to(State::kTrailerName);
      return is_token({&c, 1}) ? count_framing() : fail(Status::kMalformed);
    case State::kTrailerName:
      if (c == ':')
        go_to(State::kTrailerValue);
      else if (!is_token({&c, 1}))
        return fail(Status::kMalformed);
      return count_framing();
    case State::kTrailerValue:
      if (c == '\r') {
        go_to(State::kTrailerEnd);
        return true;
      }
      return is_text(c) ? count_framing() : fail(Status::kMalformed);
    case State::kTrailerEnd:
      go_to(State::kTrailerFirst);
      return c == '\n' || fail(Status::kMalformed);
    case State::kLastLineFeed:
      status_ = Status::kComplete;
      return c == '\n' || fail(Status::kMalformed);
    case State::kData:
      break;  // taken by feed()
  }
  return fail(Status::kMalformed);
}

bool Http1Chunks::take_digit(char c) {
  const int value = hex_value(c);
  if (value < 0 || ++digits_ > kSizeDigitsMax) return false;
  left_ = left_ * 16 + static_cast<uint64_t>(value);
  return true;
}

bool Http1Chunks::end_size_line() {
  framing_bytes_ -= std::min(framing_bytes_, left_);
  framing_bytes_ -= std::min(framing_bytes_, kFreeFramingBytes);
  if (left_ > 0) {
    go_to(State::kData);
    return true;
  }
  go_to(State::kTrailerFirst);
  status_ = Status::kTrailers;
  return true;
}

bool Http1Chunks::count_framing() {
  return ++framing_bytes_ <= framing_bytes_max_ || fail(Status::kTooLarge);
}

}  // namespace kvasir

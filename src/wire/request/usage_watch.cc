#include "wire/request/usage_watch.h"

#include <algorithm>
#include <limits>

#ifdef __SSE2__
#include <emmintrin.h>

#include "base/text.h"
#endif

namespace kvasir {
namespace {

// The names of objects that hold counts.
constexpr std::array<std::string_view, 2> kNames = {"\"usage\"", "\"meta_info\""};

bool begins_name(std::string_view bytes, size_t at) {
  return bytes[at] == '"' &&
         (at + 1 == bytes.size() || bytes[at + 1] == 'u' || bytes[at + 1] == 'm');
}

// The first quote from `at` on which a name may begin with; the size when there is none.
size_t next_candidate(std::string_view bytes, size_t at) {
#ifdef __SSE2__
  constexpr size_t kLane = 16;
  const auto load = [&bytes](size_t from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes.data() + from));
  };
  for (; at + kLane < bytes.size(); at += kLane) {
    const __m128i quote = _mm_cmpeq_epi8(load(at), _mm_set1_epi8('"'));
    const __m128i next = load(at + 1);
    const __m128i letter = _mm_or_si128(_mm_cmpeq_epi8(next, _mm_set1_epi8('u')),
                                        _mm_cmpeq_epi8(next, _mm_set1_epi8('m')));
    const int mask = _mm_movemask_epi8(_mm_and_si128(quote, letter));
    if (mask != 0) return at + static_cast<size_t>(__builtin_ctz(static_cast<unsigned>(mask)));
  }
#endif
  while (at < bytes.size() && !begins_name(bytes, at)) ++at;
  return at;
}

}  // namespace

std::optional<uint32_t> UsageWatch::prompt_tokens() const {
  if (counts_[kPrompt] || !counts_[kInput]) return counts_[kPrompt];
  const uint64_t all = uint64_t{*counts_[kInput]} + counts_[kCacheRead].value_or(0) +
                       counts_[kCacheCreation].value_or(0);
  return static_cast<uint32_t>(std::min<uint64_t>(all, std::numeric_limits<uint32_t>::max()));
}

void UsageWatch::look(std::string_view bytes) {
  if (bytes.empty()) return;
  size_t at = 0;
  while (at < bytes.size()) {
    switch (state_) {
      case State::kOutside:
        at = find_name(bytes, at);
        break;
      case State::kInName:
        at = continue_name(bytes, at);
        break;
      case State::kBehindName:
      case State::kBehindColon:
        at = await_object(bytes, at);
        break;
      case State::kInside:
        at = read_object(bytes, at);
        break;
    }
  }
  last_ = bytes.back();
}

// A quote that opens a string never follows a backslash.
size_t UsageWatch::find_name(std::string_view bytes, size_t at) {
  for (at = next_candidate(bytes, at); at < bytes.size(); at = next_candidate(bytes, at + 1)) {
    if ((at == 0 ? last_ : bytes[at - 1]) == '\\') continue;
    state_ = State::kInName;
    name_bytes_ = 1;
    name_choices_ = 0b11;
    return at + 1;
  }
  return at;
}

size_t UsageWatch::continue_name(std::string_view bytes, size_t at) {
  for (; at < bytes.size(); ++at) {
    for (size_t i = 0; i < kNames.size(); ++i) {
      const auto choice = static_cast<uint8_t>(1U << i);
      if ((name_choices_ & choice) != 0 && kNames[i][name_bytes_] != bytes[at]) {
        name_choices_ ^= choice;
      }
    }
    if (name_choices_ == 0) {
      state_ = State::kOutside;
      return at;
    }
    if (++name_bytes_ == kNames[name_choices_ >> 1].size()) {
      state_ = State::kBehindName;
      return at + 1;
    }
  }
  return at;
}

size_t UsageWatch::await_object(std::string_view bytes, size_t at) {
  for (; at < bytes.size(); ++at) {
    if (is_json_space(bytes[at])) continue;
    if (state_ == State::kBehindName && bytes[at] == ':') {
      state_ = State::kBehindColon;
    } else if (state_ == State::kBehindColon && bytes[at] == '{') {
      enter_object();
      return at + 1;
    } else {
      state_ = State::kOutside;
      return at;
    }
  }
  return at;
}

void UsageWatch::enter_object() {
  state_ = State::kInside;
  depth_ = 1;
  in_string_ = escaped_ = in_number_ = false;
  count_ = kNone;
  key_bytes_ = 0;
}

size_t UsageWatch::read_object(std::string_view bytes, size_t at) {
  while (at < bytes.size()) {
    if (in_string_) {
      at = read_string(bytes, at);
      if (state_ != State::kInside) return at;
      continue;
    }
    const char byte = bytes[at];
    if (is_digit(byte)) {
      on_digit(byte);
    } else {
      if (in_number_) end_number(byte);
      if (state_ != State::kInside) return at;
      on_structure(byte);
      if (state_ != State::kInside) return at + 1;
    }
    ++at;
  }
  return at;
}

// The bytes of a string, of which the first ones are kept, and its closing quote.
size_t UsageWatch::read_string(std::string_view bytes, size_t at) {
  size_t kept = key_bytes_;  // a copy, since the bytes that are written could be anything of ours
  bool escaped = escaped_;
  for (; at < bytes.size(); ++at) {
    const char byte = bytes[at];
    if (static_cast<unsigned char>(byte) < 0x20) {
      state_ = State::kOutside;  // not JSON: the object was cut off
      break;
    }
    if (byte == '"' && !escaped) {
      in_string_ = false;
      ++at;
      break;
    }
    escaped = byte == '\\' && !escaped;
    if (kept < kKeyBytesMax) key_[kept] = byte;
    if (kept <= kKeyBytesMax) ++kept;
  }
  key_bytes_ = static_cast<uint8_t>(kept);
  escaped_ = escaped;
  return at;
}

void UsageWatch::on_structure(char byte) {
  switch (byte) {
    case '"':
      in_string_ = true;
      key_bytes_ = 0;
      return;
    case ':':
      count_ = count_of_key();
      if (key_names_usage()) state_ = State::kBehindColon;  // a usage within, or after a broken one
      return;
    case '{':
    case '[':
      ++depth_;
      count_ = kNone;
      return;
    case '}':
    case ']':
      if (--depth_ == 0) state_ = State::kOutside;
      return;
    case ',':
      count_ = kNone;
      return;
    default:
      if (byte == '-') count_ = kNone;
  }
}

void UsageWatch::on_digit(char byte) {
  if (!in_number_) {
    in_number_ = true;
    number_is_count_ = count_ != kNone;
    number_ = 0;
  }
  number_ = 10 * number_ + static_cast<uint64_t>(byte - '0');
  if (number_ > std::numeric_limits<uint32_t>::max()) {
    number_is_count_ = false;
    number_ = 0;
  }
}

void UsageWatch::end_number(char byte) {
  in_number_ = false;
  const bool ends = byte == ',' || byte == '}' || byte == ']' || is_json_space(byte);
  if (ends && number_is_count_) counts_[count_] = static_cast<uint32_t>(number_);
  count_ = kNone;
  const bool goes_on = byte == '.' || byte == 'e' || byte == 'E' || byte == '-' || byte == '+';
  if (!ends && !goes_on) state_ = State::kOutside;  // not JSON: the object was cut off
}

UsageWatch::Count UsageWatch::count_of_key() const {
  if (key_bytes_ > kKeyBytesMax) return kNone;
  const std::string_view key(key_.data(), key_bytes_);
  if (depth_ == 2) return key == "cached_tokens" ? kCached : kNone;
  if (depth_ != 1) return kNone;
  if (key == "prompt_tokens") return kPrompt;
  if (key == "input_tokens") return kInput;
  if (key == "completion_tokens" || key == "output_tokens") return kCompletion;
  if (key == "cached_tokens") return kCached;
  if (key == "cache_read_input_tokens") return kCacheRead;
  if (key == "cache_creation_input_tokens") return kCacheCreation;
  return kNone;
}

bool UsageWatch::key_names_usage() const {
  return key_bytes_ <= kKeyBytesMax && std::string_view(key_.data(), key_bytes_) == "usage";
}

}  // namespace kvasir

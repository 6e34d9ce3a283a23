#include "wire/json/json_cursor.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "base/text.h"
#include "wire/json/json_lanes.h"
#include "wire/json/json_plain_text.h"

namespace kvasir {
namespace {

#ifdef __SSE2__

// A bit for each of the 64 bytes of a block.
struct StringBits {
  uint64_t quotes = 0, backslashes = 0, controls = 0;
};
constexpr size_t kBlock = 4 * kJsonLane;

StringBits string_bits(const char* block) {
  StringBits bits;
  for (size_t i = 0; i < 4; ++i) {
    const __m128i lane = json_lane(block + i * kJsonLane);
    const auto put = [i](__m128i found) {
      return uint64_t{json_lane_bits(found)} << i * kJsonLane;
    };
    bits.quotes |= put(_mm_cmpeq_epi8(lane, _mm_set1_epi8('"')));
    bits.backslashes |= put(_mm_cmpeq_epi8(lane, _mm_set1_epi8('\\')));
    bits.controls |= put(json_lane_up_to(lane, 0x1f));
  }
  return bits;
}

// The bytes behind a backslash that is not behind one itself. A run of backslashes that begins at
// an odd place carries, when it is added to its first bit, into the place behind it; so the parity
// of a run's length is found for all runs at once. `carry`: whether the byte before the block, then
// of it, was such a backslash.
uint64_t escaped_bits(uint64_t backslashes, uint64_t& carry) {
  constexpr uint64_t kEven = 0x5555555555555555;
  backslashes &= ~carry;
  const uint64_t behind = backslashes << 1 | carry;
  const uint64_t odd_begins = backslashes & ~kEven & ~behind;
  uint64_t ends = 0;
  carry = __builtin_add_overflow(odd_begins, backslashes, &ends) ? 1 : 0;
  return (kEven ^ ends << 1) & behind;
}

// For each bit the parity of the bits up to it: between two quotes, where the quotes are given.
uint64_t parity_bits(uint64_t bits) {
  for (unsigned shift = 1; shift < 64; shift *= 2) bits ^= bits << shift;
  return bits;
}

struct BracketBits {
  uint64_t opening = 0, closing = 0;
};

BracketBits bracket_bits(const char* block) {
  BracketBits bits;
  for (size_t i = 0; i < 4; ++i) {
    // Brackets become braces.
    const __m128i folded = _mm_or_si128(json_lane(block + i * kJsonLane), _mm_set1_epi8(0x20));
    const auto put = [i](__m128i found) {
      return uint64_t{json_lane_bits(found)} << i * kJsonLane;
    };
    bits.opening |= put(_mm_cmpeq_epi8(folded, _mm_set1_epi8('{')));
    bits.closing |= put(_mm_cmpeq_epi8(folded, _mm_set1_epi8('}')));
  }
  return bits;
}

#endif

// Where the quote stands that closes a string, from its inside at `at`; npos: none does, or a
// control character comes before.
size_t string_end(std::string_view text, size_t at, bool& is_plain) {
  is_plain = true;
#ifdef __SSE2__
  uint64_t carry = 0;
  uint64_t backslashes = 0;
  for (; at + kBlock <= text.size(); at += kBlock) {
    if (carry == 0) at += plain_json_text(text.substr(at));
    if (at + kBlock > text.size()) break;
    const StringBits bits = string_bits(text.data() + at);
    backslashes |= bits.backslashes;
    uint64_t found = bits.quotes | bits.controls;
    if ((bits.backslashes | carry) != 0) {
      found = (bits.quotes & ~escaped_bits(bits.backslashes, carry)) | bits.controls;
    }
    if (found == 0) continue;
    is_plain = backslashes == 0;
    at += static_cast<size_t>(__builtin_ctzll(found));
    return text[at] == '"' ? at : std::string_view::npos;
  }
  is_plain = backslashes == 0;
  at += carry;
#endif
  for (; at < text.size(); ++at) {
    if (text[at] == '"') return at;
    if (static_cast<unsigned char>(text[at]) < 0x20) return std::string_view::npos;
    if (text[at] == '\\') {
      is_plain = false;
      ++at;
    }
  }
  return std::string_view::npos;
}

// Goes over a container, block by block: however many strings and brackets it has, the time is the
// same.
class ContainerSkip {
 public:
  // From the opening bracket at `at` to behind the closing one; npos: it does not close, or a
  // string holds a control character.
  size_t skip(std::string_view text, size_t at) {
#ifdef __SSE2__
    for (; at + kBlock <= text.size(); at += kBlock) {
      // Prompts are long: most blocks lie within one string, or one list of token ids.
      if (in_string_ != 0 && escaped_ == 0) at += plain_json_text(text.substr(at));
      if (in_numbers_ && escaped_ == 0) at += plain_json_numbers(text.substr(at));
      if (at + kBlock > text.size()) break;
      const size_t end = take_block(text.data() + at);
      if (end == kBroken) return std::string_view::npos;
      if (end < kBlock) return at + end + 1;
    }
#endif
    for (; at < text.size(); ++at) {
      if (!take_byte(text[at])) return std::string_view::npos;
      if (depth_ == 0) return at + 1;
    }
    return std::string_view::npos;
  }

 private:
  bool take_byte(char byte) {
    if (in_string_ != 0) {
      if (static_cast<unsigned char>(byte) < 0x20) return false;
      const bool escaped = std::exchange(escaped_, 0) != 0;
      if (byte == '\\' && !escaped) escaped_ = 1;
      if (byte == '"' && !escaped) in_string_ = 0;
      return true;
    }
    const char folded = static_cast<char>(byte | 0x20);
    escaped_ = 0;
    if (byte == '"') in_string_ = ~uint64_t{0};
    if (folded == '{') ++depth_;
    if (folded == '}') --depth_;
    return true;
  }

#ifdef __SSE2__
  static constexpr size_t kBroken = kBlock + 1;

  // Where in the block the container closes; kBlock: not there.
  size_t take_block(const char* block) {
    const StringBits strings = string_bits(block);
    uint64_t quotes = strings.quotes;
    if ((strings.backslashes | escaped_) != 0)
      quotes &= ~escaped_bits(strings.backslashes, escaped_);
    if (in_string_ != 0 && (quotes | strings.controls) == 0) return kBlock;
    const uint64_t inside = quotes == 0 ? in_string_ : parity_bits(quotes) ^ in_string_;
    const BracketBits brackets = bracket_bits(block);
    const uint64_t opening = brackets.opening & ~inside;
    const uint64_t closing = brackets.closing & ~inside;
    const uint64_t broken = strings.controls & inside;
    in_numbers_ = (opening | closing | quotes | broken) == 0;
    if (in_numbers_) return kBlock;
    if (broken != 0) {
      // What closes before it is whole.
      const uint64_t before = (broken & (~broken + 1)) - 1;
      const size_t end = find_end(opening & before, closing & before, inside);
      return end < kBlock ? end : kBroken;
    }
    const auto closed = static_cast<size_t>(__builtin_popcountll(closing));
    if (depth_ > closed) {
      depth_ += static_cast<size_t>(__builtin_popcountll(opening)) - closed;
      in_string_ = inside >> 63 != 0 ? ~uint64_t{0} : 0;
      return kBlock;
    }
    return find_end(opening, closing, inside);
  }

  size_t find_end(uint64_t opening, uint64_t closing, uint64_t inside) {
    for (uint64_t bits = opening | closing; bits != 0; bits &= bits - 1) {
      const auto index = static_cast<size_t>(__builtin_ctzll(bits));
      if ((opening >> index & 1) != 0) {
        ++depth_;
      } else if (--depth_ == 0) {
        return index;
      }
    }
    in_string_ = inside >> 63 != 0 ? ~uint64_t{0} : 0;
    return kBlock;
  }
#endif

  size_t depth_ = 0;
  uint64_t in_string_ = 0;  // all ones within a string
  uint64_t escaped_ = 0;    // 1 behind a backslash
  bool in_numbers_ = false;  // the last block had no string and no bracket
};

std::optional<uint32_t> hex_unit(std::string_view digits) {
  if (digits.size() < 4) return std::nullopt;
  uint32_t unit = 0;
  for (const char digit : digits.substr(0, 4)) {
    const int value = hex_value(digit);
    if (value < 0) return std::nullopt;
    unit = unit << 4 | static_cast<uint32_t>(value);
  }
  return unit;
}

size_t write_utf8(uint32_t point, char* out) {
  const auto tail = [point](unsigned shift) {
    return static_cast<char>(0x80 | (point >> shift & 0x3f));
  };
  if (point < 0x80) {
    out[0] = static_cast<char>(point);
    return 1;
  }
  if (point < 0x800) {
    out[0] = static_cast<char>(0xc0 | point >> 6);
    out[1] = tail(0);
    return 2;
  }
  if (point < 0x10000) {
    out[0] = static_cast<char>(0xe0 | point >> 12);
    out[1] = tail(6);
    out[2] = tail(0);
    return 3;
  }
  out[0] = static_cast<char>(0xf0 | point >> 18);
  out[1] = tail(12);
  out[2] = tail(6);
  out[3] = tail(0);
  return 4;
}

}  // namespace

size_t json_space(std::string_view text) {
  size_t at = 0;
#ifdef __SSE2__
  for (; at + kJsonLane <= text.size(); at += kJsonLane) {
    const uint32_t bits = json_lane_bits(json_lane_up_to(json_lane(text.data() + at), ' '));
    if (bits != 0) return at + static_cast<size_t>(__builtin_ctz(bits));
  }
#endif
  while (at < text.size() && static_cast<unsigned char>(text[at]) > ' ') ++at;
  return at;
}

size_t read_json_escape(std::string_view raw, char* out, size_t& written) {
  out[0] = '\\';
  written = 1;
  if (raw.size() < 2) return 1;
  if (raw[1] != 'u') {
    const char character = simple_json_escape(raw[1]);
    if (character == '\0') return 1;
    out[0] = character;
    return 2;
  }
  std::optional<uint32_t> unit = hex_unit(raw.substr(2));
  if (!unit) return 1;
  size_t taken = 6;
  if (*unit >= 0xd800 && *unit < 0xdc00 && raw.substr(6, 2) == "\\u") {
    const std::optional<uint32_t> low = hex_unit(raw.substr(8));
    if (low && *low >= 0xdc00 && *low < 0xe000) {
      unit = 0x10000 + ((*unit - 0xd800) << 10) + (*low - 0xdc00);
      taken = 12;
    }
  }
  written = write_utf8(*unit, out);
  return taken;
}

std::string json_unescaped(std::string_view raw) {
  std::string text;
  text.reserve(raw.size());
  while (!raw.empty()) {
    const size_t plain = std::min(raw.find('\\'), raw.size());
    text.append(raw.substr(0, plain));
    raw.remove_prefix(plain);
    if (raw.empty()) break;
    char characters[4];
    size_t written = 0;
    raw.remove_prefix(read_json_escape(raw, characters, written));
    text.append(characters, written);
  }
  return text;
}

void JsonCursor::skip_space() {
  while (!at_end() && is_json_space(text_[at_])) ++at_;
}

bool JsonCursor::take(char byte) {
  if (at_end() || text_[at_] != byte) return false;
  ++at_;
  return true;
}

std::optional<std::string_view> JsonCursor::string() {
  if (next() != '"') return std::nullopt;
  const size_t begin = at_ + 1;
  const size_t end = string_end(text_, begin, string_is_plain_);
  if (end == std::string_view::npos) return std::nullopt;
  at_ = end + 1;
  return text_.substr(begin, end - begin);
}

std::optional<std::string_view> JsonCursor::value() {
  skip_space();
  const size_t begin = at_;
  bool whole = false;
  switch (next()) {
    case '"':
      whole = string().has_value();
      break;
    case '{':
    case '[':
      whole = skip_container();
      break;
    default:
      whole = skip_scalar();
  }
  if (!whole) return std::nullopt;
  return text_.substr(begin, at_ - begin);
}

// Brackets are counted, not matched: a mixture of them is the engine's to refuse.
bool JsonCursor::skip_container() {
  const size_t end = ContainerSkip().skip(text_, at_);
  if (end == std::string_view::npos) return false;
  at_ = end;
  return true;
}

// A number, by how it begins, or one of the words that Python knows.
bool JsonCursor::skip_scalar() {
  constexpr std::string_view kEnds = ",:\"{}[] \t\r\n";
  const size_t begin = at_;
  while (!at_end() && kEnds.find(text_[at_]) == std::string_view::npos) ++at_;
  std::string_view scalar = text_.substr(begin, at_ - begin);
  for (const std::string_view word : {"true", "false", "null", "NaN", "Infinity", "-Infinity"}) {
    if (scalar == word) return true;
  }
  if (scalar.substr(0, 1) == "-") scalar.remove_prefix(1);
  return !scalar.empty() && is_digit(scalar.front());
}

JsonMembers::JsonMembers(std::string_view object) : cursor_(object) {
  malformed_ = !cursor_.take('{');
}

bool JsonMembers::give_up() {
  malformed_ = true;
  return false;
}

bool JsonMembers::next() {
  if (malformed_) return false;
  cursor_.skip_space();
  if (first_ && cursor_.take('}')) return false;
  if (!first_) {
    if (cursor_.take('}')) return false;
    if (!cursor_.take(',')) return give_up();
    cursor_.skip_space();
  }
  first_ = false;
  const std::optional<std::string_view> key = cursor_.string();
  if (!key) return give_up();
  key_ = raw_key_ = *key;
  if (key->find('\\') != std::string_view::npos) key_ = unescaped_ = json_unescaped(*key);
  cursor_.skip_space();
  if (!cursor_.take(':')) return give_up();
  const std::optional<std::string_view> value = cursor_.value();
  if (!value) return give_up();
  value_ = *value;
  return true;
}

JsonElements::JsonElements(std::string_view array) : array_(array), cursor_(array) {
  if (!cursor_.take('[')) cursor_ = JsonCursor({});
}

bool JsonElements::next() {
  cursor_.skip_space();
  if (!first_ && !cursor_.take(',')) return false;
  first_ = false;
  const std::optional<std::string_view> value = cursor_.value();
  if (!value) return false;
  value_ = *value;
  return true;
}

}  // namespace kvasir

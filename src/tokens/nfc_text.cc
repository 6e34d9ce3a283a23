#include "tokens/nfc_text.h"

#include <utf8proc.h>

#include <array>
#include <bitset>
#include <memory>
#include <vector>

#include "tokens/utf8.h"

namespace kvasir {
namespace {

constexpr uint32_t kCodePoints = 0x110000;
constexpr int kDecomposedMost = 32;  // code points of one character

// The tables of the tokenizers library are of Unicode 9: to it these marks, which came later, are
// characters that nothing is joined with or moved around.
struct MarkRange {
  uint32_t first;
  uint32_t last;
};
constexpr MarkRange kLaterMarks[] = {
    {0x7fd, 0x7fd},     {0x898, 0x89f},     {0x8ca, 0x8d3},     {0x9fe, 0x9fe},
    {0xc3c, 0xc3c},     {0xd3b, 0xd3c},     {0xeba, 0xeba},     {0x1715, 0x1715},
    {0x1abf, 0x1ace},   {0x1df6, 0x1dfa},   {0xa82c, 0xa82c},   {0x10d24, 0x10d27},
    {0x10eab, 0x10eac}, {0x10efd, 0x10eff}, {0x10f46, 0x10f50}, {0x10f82, 0x10f85},
    {0x11070, 0x11070}, {0x1133b, 0x1133b}, {0x1145e, 0x1145e}, {0x11839, 0x1183a},
    {0x11930, 0x11930}, {0x1193d, 0x1193e}, {0x11943, 0x11943}, {0x119e0, 0x119e0},
    {0x11a34, 0x11a34}, {0x11a47, 0x11a47}, {0x11a99, 0x11a99}, {0x11d42, 0x11d42},
    {0x11d44, 0x11d45}, {0x11d97, 0x11d97}, {0x11f41, 0x11f42}, {0x16ff0, 0x16ff1},
    {0x1e08f, 0x1e08f}, {0x1e130, 0x1e136}, {0x1e2ae, 0x1e2ae}, {0x1e2ec, 0x1e2ef},
    {0x1e4ec, 0x1e4ef},
};

bool is_surrogate(uint32_t code_point) {
  return code_point >= 0xd800 && code_point < 0xe000;
}

// Characters that stay themselves, whatever is before them: form C never changes one, never joins
// it with what is before it, and never moves it.
class StableCharacters {
 public:
  static const StableCharacters& get() {
    static const StableCharacters characters;
    return characters;
  }
  bool has(uint32_t code_point) const { return (*stable_)[code_point]; }

 private:
  StableCharacters() : stable_(std::make_unique<std::bitset<kCodePoints>>()) {
    stable_->set();
    for (uint32_t c = 0x80; c < kCodePoints; ++c) {
      if (!is_surrogate(c)) look_at(static_cast<utf8proc_int32_t>(c));
    }
    for (const MarkRange& range : kLaterMarks) {
      for (uint32_t c = range.first; c <= range.last; ++c) stable_->set(c);
    }
  }

  void look_at(utf8proc_int32_t c) {
    if (utf8proc_get_property(c)->combining_class != 0) stable_->reset(static_cast<size_t>(c));
    std::array<utf8proc_int32_t, kDecomposedMost> parts;
    int boundary = 0;
    const auto count = utf8proc_decompose_char(
        c, parts.data(), kDecomposedMost,
        static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_DECOMPOSE), &boundary);
    if (count == 1 && parts[0] == c) return;
    // What stands behind another's beginning may be joined with what is before it.
    for (utf8proc_ssize_t i = 1; i < count; ++i) stable_->reset(static_cast<size_t>(parts[i]));
    const auto composed = utf8proc_normalize_utf32(
        parts.data(), count, static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE));
    if (composed != 1 || parts[0] != c) stable_->reset(static_cast<size_t>(c));
  }

  std::unique_ptr<std::bitset<kCodePoints>> stable_;
};

// Appends the text of a stable character and those behind it that are not.
void append_composed(std::string_view text, std::vector<utf8proc_int32_t>& room,
                     std::string& result) {
  constexpr auto kOptions = static_cast<utf8proc_option_t>(UTF8PROC_STABLE | UTF8PROC_COMPOSE);
  const auto* bytes = reinterpret_cast<const utf8proc_uint8_t*>(text.data());
  const auto bytes_count = static_cast<utf8proc_ssize_t>(text.size());
  room.resize(text.size() * 4 + kDecomposedMost);
  const auto count = utf8proc_decompose(bytes, bytes_count, room.data(),
                                        static_cast<utf8proc_ssize_t>(room.size()), kOptions);
  if (count < 0 || static_cast<size_t>(count) > room.size()) {  // no UTF-8
    result.append(text);
    return;
  }
  const auto composed = utf8proc_normalize_utf32(room.data(), count, kOptions);
  for (utf8proc_ssize_t i = 0; i < composed; ++i) {
    append_code_point(static_cast<uint32_t>(room[static_cast<size_t>(i)]), result);
  }
}

// The first character from `at` on that is not stable; the size when there is none. `before`: the
// beginning of the one before it.
size_t find_unstable(std::string_view text, size_t at, const StableCharacters& stable,
                     size_t& before) {
  before = at;
  while (at < text.size()) {
    const CodePoint here = code_point_at(text, at);
    if (here.value >= 0x80 && !stable.has(here.value)) return at;
    before = at;
    at += here.bytes;
  }
  return at;
}

// Whether what begins there is a mark to utf8proc alone.
bool is_later_mark(std::string_view text, size_t at) {
  const CodePoint here = code_point_at(text, at);
  return StableCharacters::get().has(here.value) &&
         utf8proc_get_property(static_cast<utf8proc_int32_t>(here.value))->combining_class != 0;
}

}  // namespace

bool may_need_nfc(std::string_view utf8) {
  size_t before = 0;
  return find_unstable(utf8, 0, StableCharacters::get(), before) < utf8.size();
}

std::string nfc(std::string_view utf8) {
  const StableCharacters& stable = StableCharacters::get();
  std::string result;
  result.reserve(utf8.size());
  std::vector<utf8proc_int32_t> room;
  size_t done = 0;
  while (done < utf8.size()) {
    size_t begin = done;
    size_t end = find_unstable(utf8, done, stable, begin);
    if (end == utf8.size() || is_later_mark(utf8, begin)) begin = end;
    result.append(utf8.substr(done, begin - done));
    while (end < utf8.size()) {
      const CodePoint here = code_point_at(utf8, end);
      if (stable.has(here.value)) break;
      end += here.bytes;
    }
    if (end > begin) append_composed(utf8.substr(begin, end - begin), room, result);
    done = end;
  }
  return result;
}

}  // namespace kvasir

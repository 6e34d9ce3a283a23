#include "wire/kv_events/token_array.h"

#include <bit>
#include <cstring>

namespace kvasir {
namespace {

uint64_t big_endian_64(const char* at) {
  uint64_t value = 0;
  std::memcpy(&value, at, sizeof value);
  return std::endian::native == std::endian::little ? __builtin_bswap64(value) : value;
}

// One token at `at`, before which `end` lies by nine bytes at least; returns the end of it, or
// nullptr.
const char* read_token(const char* at, uint32_t& token) {
  const uint8_t head = static_cast<uint8_t>(*at);
  const uint64_t ahead = big_endian_64(at + 1);
  if (head == 0xcd) {
    token = static_cast<uint32_t>(ahead >> 48);
    return at + 3;
  }
  if (head == 0xce) {
    token = static_cast<uint32_t>(ahead >> 32);
    return at + 5;
  }
  if (head < 0x80) {
    token = head;
    return at + 1;
  }
  if (head == 0xcc) {
    token = static_cast<uint32_t>(ahead >> 56);
    return at + 2;
  }
  if (head == 0xcf && ahead <= UINT32_MAX) {  // longer than need be, but an integer
    token = static_cast<uint32_t>(ahead);
    return at + 9;
  }
  return nullptr;
}

}  // namespace

std::optional<size_t> read_token_array(std::string_view bytes, size_t count, uint32_t* tokens) {
  constexpr size_t kLongest = 9;
  const char* at = bytes.data();
  const char* const end = at + bytes.size();
  size_t done = 0;
  for (; done < count && static_cast<size_t>(end - at) >= kLongest; ++done) {
    at = read_token(at, tokens[done]);
    if (at == nullptr) return std::nullopt;
  }
  char last[2 * kLongest] = {};  // what is left, with room behind it to read beyond
  const size_t left = done < count ? static_cast<size_t>(end - at) : 0;
  if (left > 0) std::memcpy(last, at, left);
  const char* from = last;
  for (; done < count; ++done) {
    if (from >= last + left) return std::nullopt;
    from = read_token(from, tokens[done]);
    if (from == nullptr || from > last + left) return std::nullopt;
  }
  return static_cast<size_t>(at - bytes.data()) + static_cast<size_t>(from - last);
}

}  // namespace kvasir

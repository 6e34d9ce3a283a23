// What words of up to kWordBytesMax bytes were tokenized to, as far as there is room: a word takes
// the place of another. Of a fixed size; not thread-safe.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>
#include <vector>

namespace kvasir {

class WordCache {
 public:
  static constexpr size_t kWordBytesMax = 32;
  static constexpr size_t kTokensMax = 7;

  // A power of two.
  explicit WordCache(size_t places) : mask_(places - 1) {}

  struct Key {
    std::array<uint64_t, 4> bytes{};
    uint32_t size = 0;
    uint64_t hash = 0;
  };
  // Precondition: 0 < word.size() <= kWordBytesMax.
  static Key key(std::string_view word) {
    Key key;
    key.size = static_cast<uint32_t>(word.size());
    const char* const at = word.data();
    const size_t size = word.size();
    if (size >= 8) {
      key.bytes[0] = load<uint64_t>(at);
      key.bytes[1] = load<uint64_t>(at + size - 8);
      if (size > 16) {
        key.bytes[2] = load<uint64_t>(at + 8);
        key.bytes[3] = load<uint64_t>(at + size - 16);
      }
    } else if (size >= 4) {
      key.bytes[0] = uint64_t{load<uint32_t>(at)} << 32 | load<uint32_t>(at + size - 4);
    } else {
      key.bytes[0] = static_cast<uint8_t>(at[0]) |
                     uint64_t{static_cast<uint8_t>(at[size / 2])} << 8 |
                     uint64_t{static_cast<uint8_t>(at[size - 1])} << 16;
    }
    uint64_t hash = (key.bytes[0] ^ size) * 0x9e3779b97f4a7c15ULL;
    hash = (hash ^ (hash >> 32) ^ key.bytes[1]) * 0xe7037ed1a0b428dbULL;
    if (size > 16) {
      hash = (hash ^ (hash >> 32) ^ key.bytes[2]) * 0x8ebc6af09c88c6e3ULL;
      hash = (hash ^ (hash >> 32) ^ key.bytes[3]) * 0x589965cc75374cc3ULL;
    }
    key.hash = hash >> 32;
    return key;
  }

  // Empty: not there.
  std::span<const uint32_t> find(const Key& key) const {
    if (places_.empty()) return {};
    const Place& place = places_[key.hash & mask_];
    if (place.size != key.size || place.bytes != key.bytes) return {};
    return {place.tokens.data(), place.count};
  }
  // Does nothing for more than kTokensMax.
  void put(const Key& key, std::span<const uint32_t> tokens) {
    if (tokens.size() > kTokensMax) return;
    if (places_.empty()) places_.resize(mask_ + 1);
    Place& place = places_[key.hash & mask_];
    place.bytes = key.bytes;
    place.size = static_cast<uint16_t>(key.size);
    place.count = static_cast<uint16_t>(tokens.size());
    std::copy(tokens.begin(), tokens.end(), place.tokens.begin());
  }

 private:
  struct alignas(64) Place {
    std::array<uint64_t, 4> bytes{};
    uint16_t size = 0;
    uint16_t count = 0;
    std::array<uint32_t, kTokensMax> tokens;
  };

  template <class Number>
  static Number load(const char* at) {
    Number number;
    std::memcpy(&number, at, sizeof number);
    return number;
  }

  const size_t mask_;
  std::vector<Place> places_;  // made with the first word
};

}  // namespace kvasir

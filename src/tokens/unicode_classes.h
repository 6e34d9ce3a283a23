// Which characters the regular expressions of tokenizers mean by \p{L}, \p{N}, \p{M}, \s and \w.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace kvasir {

enum CharacterClass : uint8_t {
  kLetterClass = 1,
  kNumberClass = 2,
  kMarkClass = 4,
  kSpaceClass = 8,     // line breaks, too
  kNewlineClass = 16,  // \r and \n
  kWordClass = 32,     // \w
};

// Immutable, and made once.
class UnicodeClasses {
 public:
  static const UnicodeClasses& get();

  // Bits of CharacterClass. Precondition: a code point of Unicode.
  uint8_t of(uint32_t code_point) const {
    return blocks_[size_t{index_[code_point >> 8]} << 8 | (code_point & 0xff)];
  }
  uint8_t of_ascii(uint8_t byte) const { return blocks_[byte]; }

 private:
  UnicodeClasses();

  std::array<uint16_t, 0x1100>
      index_;  // by the code point's upper bits; the first block is ASCII's
  std::vector<uint8_t> blocks_;
};

}  // namespace kvasir

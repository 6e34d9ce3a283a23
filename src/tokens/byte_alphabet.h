// The letters in which a tokenizer.json writes bytes: printable Latin-1 stands for itself, the
// other bytes for U+0100 and up, in order.
#pragma once

#include <array>
#include <cstdint>
#include <optional>

namespace kvasir {

class ByteAlphabet {
 public:
  static constexpr uint32_t kLetters = 256;

  constexpr ByteAlphabet() {
    uint32_t next = 0x100;
    for (uint32_t byte = 0; byte < kLetters; ++byte) {
      letters_[byte] = stands_for_itself(byte) ? byte : next++;
    }
    for (uint32_t byte = 0; byte < kLetters; ++byte) bytes_[letters_[byte]] = byte;
  }

  constexpr uint32_t letter(uint8_t byte) const { return letters_[byte]; }
  // nullopt: no byte is written as this character.
  constexpr std::optional<uint8_t> byte(uint32_t letter) const {
    if (letter >= bytes_.size() || letters_[bytes_[letter]] != letter) return std::nullopt;
    return static_cast<uint8_t>(bytes_[letter]);
  }

 private:
  static constexpr bool stands_for_itself(uint32_t byte) {
    return (byte >= 0x21 && byte <= 0x7e) || (byte >= 0xa1 && byte <= 0xac) || byte >= 0xae;
  }

  std::array<uint32_t, kLetters> letters_{};
  std::array<uint32_t, 0x180> bytes_{};
};

inline constexpr ByteAlphabet kByteAlphabet;

}  // namespace kvasir

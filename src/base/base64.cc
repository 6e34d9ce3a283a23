#include "base/base64.h"

#include <array>
#include <cstdint>

namespace kvasir {
namespace {

constexpr std::string_view kBase64Letters =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr std::array<int8_t, 256> base64_values() {
  std::array<int8_t, 256> values{};
  for (int8_t& value : values) value = -1;
  for (size_t i = 0; i < kBase64Letters.size(); ++i) {
    values[static_cast<unsigned char>(kBase64Letters[i])] = static_cast<int8_t>(i);
  }
  return values;
}

}  // namespace

std::string encode_base64(std::string_view bytes) {
  std::string result;
  result.reserve((bytes.size() + 2) / 3 * 4);
  uint32_t bits = 0;
  int bit_count = 0;
  for (const char byte : bytes) {
    bits = bits << 8 | static_cast<unsigned char>(byte);
    for (bit_count += 8; bit_count >= 6;) {
      bit_count -= 6;
      result += kBase64Letters[bits >> bit_count & 63];
    }
  }
  if (bit_count > 0) result += kBase64Letters[bits << (6 - bit_count) & 63];
  result.append((4 - result.size() % 4) % 4, '=');
  return result;
}

std::optional<size_t> decode_base64(std::string_view text, std::span<char> out) {
  static constexpr std::array<int8_t, 256> kValues = base64_values();
  for (int i = 0; i < 2 && !text.empty() && text.back() == '='; ++i) text.remove_suffix(1);
  uint32_t bits = 0;
  int bit_count = 0;
  size_t size = 0;
  for (const char letter : text) {
    const int8_t value = kValues[static_cast<unsigned char>(letter)];
    if (value < 0) return std::nullopt;
    bits = bits << 6 | static_cast<uint32_t>(value);
    bit_count += 6;
    if (bit_count < 8) continue;
    if (size == out.size()) return std::nullopt;
    bit_count -= 8;
    out[size++] = static_cast<char>(bits >> bit_count);
  }
  if (bit_count == 6) return std::nullopt;  // a letter alone is no byte
  return size;
}

std::optional<std::string> decode_base64(std::string_view text) {
  std::string bytes(text.size() / 4 * 3 + 3, '\0');
  const std::optional<size_t> size = decode_base64(text, std::span<char>(bytes));
  if (!size) return std::nullopt;
  bytes.resize(*size);
  return bytes;
}

}  // namespace kvasir

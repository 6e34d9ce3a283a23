// CBOR in its canonical form, as far as hashes of blocks need it. Private to hashing/.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace kvasir {

enum class CborMajor : uint8_t {
  kUnsigned = 0,
  kNegative = 1,
  kBytes = 2,
  kText = 3,
  kArray = 4,
  kMap = 5
};

inline void put_cbor_head(std::string& out, CborMajor major, uint64_t number) {
  const auto begin = static_cast<uint8_t>(static_cast<uint8_t>(major) << 5);
  if (number < 24) return out.push_back(static_cast<char>(begin | number));
  const int log_bytes = number <= UINT8_MAX    ? 0
                        : number <= UINT16_MAX ? 1
                        : number <= UINT32_MAX ? 2
                                               : 3;
  out.push_back(static_cast<char>(begin | (24 + log_bytes)));
  for (int shift = (8 << log_bytes) - 8; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(number >> shift));
}

inline void put_cbor_number(std::string& out, int64_t number) {
  if (number >= 0) return put_cbor_head(out, CborMajor::kUnsigned, static_cast<uint64_t>(number));
  put_cbor_head(out, CborMajor::kNegative, ~static_cast<uint64_t>(number));
}

inline void put_cbor_text(std::string& out, std::string_view text) {
  put_cbor_head(out, CborMajor::kText, text.size());
  out += text;
}

inline void put_cbor_null(std::string& out) {
  out.push_back('\xf6');
}

}  // namespace kvasir

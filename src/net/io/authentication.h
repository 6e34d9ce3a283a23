// Proofs that somebody knows a secret, without saying it: HMAC-SHA256 over numbers that nobody used
// before.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace kvasir {

inline constexpr size_t kSealBytes = 32;

// The HMAC-SHA256 of `text` under `key`: kSealBytes bytes.
std::string hmac_sha256(std::string_view key, std::string_view text);
// Takes the same time whatever differs. Texts of different lengths are not equal.
bool equal_in_constant_time(std::string_view a, std::string_view b);
// From the system's generator, for nonces.
std::string random_bytes(size_t count);

}  // namespace kvasir

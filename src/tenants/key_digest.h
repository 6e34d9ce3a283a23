// API keys are known by their SHA-256 alone: whoever reads the file of keys cannot use one.
//
// A slow hash (bcrypt, Argon2) makes guessing expensive where secrets are few, as people's
// passwords are. A key of `kvasir keys new` is one of 2^256: there is nothing to guess, and a slow
// hash would cost each request a hundred thousand times as much.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace kvasir {

using KeyDigest = std::array<uint8_t, 32>;

// "sha256:" and 64 hexadecimal digits in either case: what `printf %s KEY | sha256sum` prints.
std::optional<KeyDigest> parse_key_digest(std::string_view text);
// The same, in lower case.
std::string to_string(const KeyDigest& digest);
// Takes the same time wherever they differ.
bool equal_in_constant_time(const KeyDigest& a, const KeyDigest& b);

// Makes digests. One for each thread: it keeps what they need in common.
class KeyHasher {
 public:
  KeyHasher();
  ~KeyHasher();
  KeyHasher(const KeyHasher&) = delete;
  KeyHasher& operator=(const KeyHasher&) = delete;

  KeyDigest digest(std::string_view key);

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

// A key that nobody had before: kKeyPrefix and 256 random bits. The prefix is for people, and for
// programs that look for secrets where there should be none.
inline constexpr std::string_view kKeyPrefix = "sk-kvasir-";
std::string new_key();

}  // namespace kvasir

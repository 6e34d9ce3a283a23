#include "tenants/key_digest.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "base/assert.h"
#include "base/base64.h"
#include "base/text.h"

namespace kvasir {
namespace {

constexpr std::string_view kDigestPrefix = "sha256:";

}  // namespace

std::optional<KeyDigest> parse_key_digest(std::string_view text) {
  KeyDigest digest;
  if (!text.starts_with(kDigestPrefix)) return std::nullopt;
  text.remove_prefix(kDigestPrefix.size());
  if (text.size() != 2 * digest.size()) return std::nullopt;
  for (size_t i = 0; i < digest.size(); ++i) {
    const int high = hex_value(text[2 * i]);
    const int low = hex_value(text[2 * i + 1]);
    if (high < 0 || low < 0) return std::nullopt;
    digest[i] = static_cast<uint8_t>(high << 4 | low);
  }
  return digest;
}

std::string to_string(const KeyDigest& digest) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string text(kDigestPrefix);
  for (const uint8_t byte : digest) text.append({kHex[byte >> 4], kHex[byte & 15]});
  return text;
}

bool equal_in_constant_time(const KeyDigest& a, const KeyDigest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

// OpenSSL looks an algorithm up by its name, which takes longer than to hash a key.
struct KeyHasher::State {
  State() : algorithm(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context(EVP_MD_CTX_new()) {
    KVASIR_ASSERT(algorithm != nullptr && context != nullptr, "OpenSSL has SHA-256");
  }
  ~State() {
    EVP_MD_CTX_free(context);
    EVP_MD_free(algorithm);
  }
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  EVP_MD* const algorithm;
  EVP_MD_CTX* const context;
};

KeyHasher::KeyHasher() : state_(std::make_unique<State>()) {}
KeyHasher::~KeyHasher() = default;

KeyDigest KeyHasher::digest(std::string_view key) {
  KeyDigest digest;
  const bool made = EVP_DigestInit_ex2(state_->context, state_->algorithm, nullptr) == 1 &&
                    EVP_DigestUpdate(state_->context, key.data(), key.size()) == 1 &&
                    EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) == 1;
  KVASIR_ASSERT(made, "SHA-256 has no reason to fail");
  return digest;
}

std::string new_key() {
  std::string bytes(32, '\0');
  const int made =
      RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  KVASIR_ASSERT(made == 1, "the system gives random numbers");
  std::string key = encode_base64(bytes);
  // As RFC 4648, section 5, has it: nothing that a shell or a URL reads otherwise.
  key.erase(key.find_last_not_of('=') + 1);
  for (char& c : key) c = c == '+' ? '-' : c == '/' ? '_' : c;
  return std::string(kKeyPrefix) + key;
}

}  // namespace kvasir

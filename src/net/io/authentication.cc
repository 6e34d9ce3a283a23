#include "net/io/authentication.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "base/assert.h"

namespace kvasir {

std::string hmac_sha256(std::string_view key, std::string_view text) {
  std::string seal(kSealBytes, '\0');
  unsigned size = 0;
  const unsigned char* made = HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
                                   reinterpret_cast<const unsigned char*>(text.data()), text.size(),
                                   reinterpret_cast<unsigned char*>(seal.data()), &size);
  KVASIR_ASSERT(made != nullptr && size == kSealBytes, "HMAC-SHA256 has no reason to fail");
  return seal;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

std::string random_bytes(size_t count) {
  std::string bytes(count, '\0');
  const int made =
      RAND_bytes(reinterpret_cast<unsigned char*>(bytes.data()), static_cast<int>(bytes.size()));
  KVASIR_ASSERT(made == 1, "the system gives random numbers");
  return bytes;
}

}  // namespace kvasir

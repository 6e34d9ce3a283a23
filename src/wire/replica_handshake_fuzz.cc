// Any bytes as the first message of a stream between replicas: refused, or read into what is
// written and read again the same.
#include <cstdint>

#include "base/assert.h"
#include "wire/replica_handshake.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  if (const auto hello = kvasir::read_replica_hello(bytes)) {
    const auto again = kvasir::read_replica_hello(kvasir::write_replica_hello(*hello));
    KVASIR_ASSERT(again && again->origin == hello->origin && again->nonce == hello->nonce,
                  "what was read is written and read the same");
  }
  if (const auto challenge = kvasir::read_replica_challenge(bytes)) {
    const auto again = kvasir::read_replica_challenge(kvasir::write_replica_challenge(*challenge));
    KVASIR_ASSERT(again && again->nonce == challenge->nonce && again->proof == challenge->proof,
                  "what was read is written and read the same");
  }
  return 0;
}

// Of any message of the side channel: what is read of it is written and read back as the same.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "wire/kv_transfer/nixl_handshake.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  (void)kvasir::read_nixl_question(message);
  const auto handshake = kvasir::read_nixl_handshake(message);
  if (!handshake.ok()) return 0;
  const auto again = kvasir::read_nixl_handshake(kvasir::write_nixl_handshake(*handshake));
  KVASIR_ASSERT(again.ok() && again->compatibility_hash == handshake->compatibility_hash &&
                    again->agent == handshake->agent,
                "what was read can be written");
  return 0;
}

// Any bytes as a worker's registration: what was read is written and read again the same. And any
// text as a request id: an address that is found in it can be found again.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "wire/kv_transfer/p2p_registration.h"
#include "wire/kv_transfer/p2p_request_id.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace kvasir;
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  if (const Result<P2pRegistration> read = read_p2p_registration(text)) {
    const Result<P2pRegistration> again = read_p2p_registration(write_p2p_registration(*read));
    KVASIR_ASSERT(again.ok() && *again == *read, "it reads as it was written");
  }
  for (const std::optional<P2pAddress>& found :
       {p2p_prefill_address(text), p2p_decode_address(text)}) {
    if (!found) continue;
    KVASIR_ASSERT(found->port != 0, "a port");
    const std::string address = found->host + ":" + std::to_string(found->port);
    const std::string id = p2p_request_id(address, address, "u");
    KVASIR_ASSERT(p2p_decode_address(id).has_value(), "an address is one");
  }
  if (const std::optional<P2pPair> pair = p2p_pair(text)) {
    KVASIR_ASSERT(pair->prefill.size() + pair->decode.size() <= size, "parts of it");
  }
  return 0;
}

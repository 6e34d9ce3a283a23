// Of any message: what is read is what would be written, as far as it is known.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "wire/kv_transfer/p2p_messages.h"
#include "wire/kv_transfer/p2p_request_id.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view message(reinterpret_cast<const char*>(data), size);
  if (const auto command = kvasir::read_p2p_command(message)) {
    const auto again = kvasir::read_p2p_command(kvasir::write_p2p_command(*command));
    KVASIR_ASSERT(again.ok() && again->kind == command->kind, "it reads back");
  }
  kvasir::read_p2p_reply(message).ok();
  if (const auto id = kvasir::read_p2p_tensor_id(message)) {
    KVASIR_ASSERT(id->count > 0 && !id->request.empty(), "it names blocks of a request");
  }
  kvasir::p2p_prefill_address(message);
  kvasir::p2p_decode_address(message);
  if (const auto key = kvasir::p2p_request_key(message)) {
    KVASIR_ASSERT(kvasir::p2p_request_key(*key) == key, "a key is its own key");
  }
  return 0;
}

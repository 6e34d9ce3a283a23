// Any bytes as a message of another replica: refused, or read into what is written and read again
// the same.
#include <cstdint>

#include "base/assert.h"
#include "wire/replica_sync.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const kvasir::Result<kvasir::ReplicaMessage> message = kvasir::read_replica_message(bytes);
  if (!message) return 0;
  for (const kvasir::ReplicaPlugin& plugin : message->plugins) {
    for (const kvasir::ReplicaLoad& load : plugin.loads) {
      KVASIR_ASSERT(load.endpoint < message->endpoints.size(), "a load's endpoint is listed");
    }
    for (const kvasir::ReplicaBinding& binding : plugin.bindings) {
      KVASIR_ASSERT(binding.endpoint < message->endpoints.size(), "a session's endpoint is listed");
    }
  }
  const std::string again = kvasir::write_replica_message(*message);
  if (again.size() > kvasir::ReplicaMessageLimits::kMessageBytes) return 0;
  const kvasir::Result<kvasir::ReplicaMessage> reread = kvasir::read_replica_message(again);
  KVASIR_ASSERT(reread && *reread == *message, "what was read is written and read the same");
  return 0;
}

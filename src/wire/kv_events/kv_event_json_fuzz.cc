// Any text as KV events in JSON: refused, or read into events that have what each must have.
#include <cstdint>

#include "base/assert.h"
#include "wire/kv_events/kv_event_json.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const kvasir::Result<kvasir::KvJsonEvents> read = kvasir::read_kv_json_events(text);
  if (!read) return 0;
  for (const kvasir::KvJsonEvent& event : read->events) {
    KVASIR_ASSERT(!event.block_hash.empty(), "an event names its block");
    const uint64_t name = kvasir::kv_block_name(event.block_hash);
    KVASIR_ASSERT(name == kvasir::kv_block_name(event.block_hash), "a block has one name");
  }
  return 0;
}

// Writes batches of KV events as vLLM's publisher does: as maps (0.24 and later), or as the arrays
// of those before.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "wire/kv_events/kv_event.h"

namespace kvasir {

enum class KvEventForm : uint8_t { kMap, kArray };

// One batch after the other; written into buffers that are used again.
class KvEventEncoder {
 public:
  explicit KvEventEncoder(KvEventForm form = KvEventForm::kMap) : form_(form) {}

  void begin(double timestamp);
  // `event.extras` are written as digests: whoever reads them sees that something else is in the
  // block, and whether it is the same.
  void stored(const KvBlocksStored& event);
  void removed(const KvBlocksRemoved& event);
  void all_cleared();
  size_t events() const { return events_; }
  // Ends the batch: valid until begin().
  const std::string& finish(uint32_t data_parallel_rank);

 private:
  void extra_keys(const KvBlocksStored& event);
  void keys_of_block(const KvBlocksStored& event, size_t block);

  const KvEventForm form_;
  std::string batch_;
  std::string body_;
  size_t events_ = 0;
};

}  // namespace kvasir

// Writes batches of KV events as vLLM's publisher does (map form, 0.24 and later; and the array
// form of those before).
#pragma once

#include <string>

#include "wire/kv_events/kv_event.h"

namespace kvasir {

enum class KvEventForm : uint8_t { kMap, kArray };

// One batch; written into a buffer that is used again.
class KvEventEncoder {
 public:
  explicit KvEventEncoder(KvEventForm form = KvEventForm::kMap) : form_(form) {}

  void begin(double timestamp);
  // `medium` stands on the wire as it is given.
  void stored(const KvBlocksStored& event, std::string_view medium = "GPU");
  void removed(const KvBlocksRemoved& event, std::string_view medium = "GPU");
  void all_cleared();
  size_t events() const { return events_; }
  // Ends the batch: valid until begin().
  const std::string& finish(uint32_t data_parallel_rank);

 private:
  const KvEventForm form_;
  std::string head_;
  std::string body_;
  size_t events_ = 0;
};

}  // namespace kvasir

#include "kvevents/batch_memory.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {

void BatchMemory::remember(uint64_t number, std::string_view batch) {
  places_[number % kBatches] = {true, number, XXH3_64bits(batch.data(), batch.size())};
}

BatchMemory::Recall BatchMemory::recall(uint64_t number, std::string_view batch) const {
  const Place& place = places_[number % kBatches];
  if (!place.used || place.number != number) return Recall::kUnknown;
  const bool same = place.hash == XXH3_64bits(batch.data(), batch.size());
  return same ? Recall::kSame : Recall::kOther;
}

}  // namespace kvasir

#include "kvevents/held_messages.h"

#include <algorithm>

#include "kvevents/batch_memory.h"

namespace kvasir {

bool HeldMessages::Publisher::goes_on_after(const KvStreamPosition& position) const {
  return std::any_of(batches.begin(), batches.end(), [&](const Batch& batch) {
    return batch.number == position.number && hash_of_batch(batch.bytes) == position.hash;
  });
}

void HeldMessages::Publisher::begin_with(uint64_t number) {
  while (!batches.empty() && batches.front().number != number) batches.pop_front();
}

bool HeldMessages::push(const EventMessage& message, uint32_t rank,
                        std::optional<uint64_t> connection) {
  const size_t bytes = message.batch.size() + kOverhead;
  if (bytes > bytes_max_ - bytes_) return false;
  bytes_ += bytes;
  Publisher& publisher = publishers_[{std::string(message.topic), rank}];
  publisher.batches.push_back({message.number, std::string(message.batch)});
  publisher.connection = connection;
  return true;
}

}  // namespace kvasir

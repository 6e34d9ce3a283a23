#include "kvevents/waiting_batches.h"

namespace kvasir {

bool WaitingBatches::push(uint64_t number, std::string_view batch) {
  const size_t size = batch.size() + kOverhead;
  full_ |= bytes_ + size > bytes_max_ || budget_.bytes + size > budget_.bytes_max;
  if (full_) return false;
  batches_.push_back({number, std::string(batch)});
  bytes_ += size;
  budget_.bytes += size;
  return true;
}

void WaitingBatches::pop() {
  const size_t size = batches_.front().bytes.size() + kOverhead;
  bytes_ -= size;
  budget_.bytes -= size;
  batches_.pop_front();
  if (batches_.empty()) full_ = false;
}

void WaitingBatches::clear() {
  budget_.bytes -= bytes_;
  bytes_ = 0;
  full_ = false;
  std::deque<Batch>().swap(batches_);
}

}  // namespace kvasir

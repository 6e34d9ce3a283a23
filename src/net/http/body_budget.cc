#include "net/http/body_budget.h"

#include <malloc.h>

namespace kvasir {
namespace {

// Less than this is kept for the bodies to come: pages that are taken anew cost time.
constexpr size_t kMuchBytes = 64 * 1024 * 1024;
// So small a part of the most that was held is little.
constexpr size_t kLittlePart = 16;

}  // namespace

void BodyBudget::give_back(size_t bytes) {
  const size_t left = held_.fetch_sub(bytes, std::memory_order_relaxed) - bytes;
  size_t most = most_.load(std::memory_order_relaxed);
  if (most < kMuchBytes || left > most / kLittlePart) return;
  if (most_.compare_exchange_strong(most, left, std::memory_order_relaxed)) malloc_trim(0);
}

}  // namespace kvasir

// How many bytes of request bodies a process may hold at one time, over all its connections and
// threads. Thread-safe.
#pragma once

#include <atomic>
#include <cstddef>

namespace kvasir {

class BodyBudget {
 public:
  // A body is large beyond this. Large ones together get three quarters of the budget, so that a
  // few of them do not keep everybody else out.
  static constexpr size_t kLargeBytes = 1024 * 1024;

  explicit BodyBudget(size_t bytes_max) : bytes_max_(bytes_max) {}
  BodyBudget(const BodyBudget&) = delete;
  BodyBudget& operator=(const BodyBudget&) = delete;

  // Takes `bytes` more for a body that is `body_bytes` long then. False, and nothing is taken: that
  // is too much.
  bool take(size_t bytes, size_t body_bytes) {
    const size_t after = held_.fetch_add(bytes, std::memory_order_relaxed) + bytes;
    if (after > limit_for(body_bytes)) {
      held_.fetch_sub(bytes, std::memory_order_relaxed);
      return false;
    }
    if (after > most_.load(std::memory_order_relaxed))
      most_.store(after, std::memory_order_relaxed);
    return true;
  }
  // To be called when the memory is free. When little is left of much, the system gets the free
  // pages of the heap.
  void give_back(size_t bytes);
  // Whether a body of that length would fit now.
  bool has_room_for(size_t body_bytes) const {
    return held() + body_bytes <= limit_for(body_bytes);
  }

  size_t held() const { return held_.load(std::memory_order_relaxed); }

 private:
  size_t limit_for(size_t body_bytes) const {
    return body_bytes > kLargeBytes ? bytes_max_ - bytes_max_ / 4 : bytes_max_;
  }

  const size_t bytes_max_;
  std::atomic<size_t> held_{0};
  std::atomic<size_t> most_{0};  // held since pages were last given back, about
};

}  // namespace kvasir

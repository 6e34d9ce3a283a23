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
    const size_t before = held_.fetch_add(bytes, std::memory_order_relaxed);
    if (before + bytes <= limit_for(body_bytes)) return true;
    give_back(bytes);
    return false;
  }
  void give_back(size_t bytes) { held_.fetch_sub(bytes, std::memory_order_relaxed); }
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
};

}  // namespace kvasir

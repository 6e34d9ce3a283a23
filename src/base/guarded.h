// Guarded<T>: a T that can only be reached while its mutex is held.
#pragma once

#include <mutex>
#include <utility>

namespace kvasir {

template <class T>
class Guarded {
 public:
  Guarded() = default;
  explicit Guarded(T value) : value_(std::move(value)) {}

  // Runs `use(value)` with the mutex held and returns what it returns. Keep it short; never block in it.
  template <class Use>
  auto with(Use&& use) {
    std::lock_guard<std::mutex> lock(mutex_);
    return std::forward<Use>(use)(value_);
  }
  template <class Use>
  auto with(Use&& use) const {
    std::lock_guard<std::mutex> lock(mutex_);
    return std::forward<Use>(use)(value_);
  }

 private:
  mutable std::mutex mutex_;
  T value_;
};

}  // namespace kvasir

// How many requests may be tried again at one time, on one thread: a share of those under way, so
// that a Service that fails is not asked several times as often as one that works. Private to
// gateway/.
#pragma once

#include <algorithm>
#include <cstddef>

#include "base/assert.h"

namespace kvasir {

class RetryBudget {
 public:
  // A fifth, and always three: a thread with little to do may still try again. Source: the defaults
  // of Envoy's retry budget.
  static constexpr size_t kShareOf = 5;
  static constexpr size_t kLeast = 3;

  void begin() { ++requests_; }
  void end() { --requests_; }
  // False: there are enough.
  bool take() {
    if (retries_ >= std::max(kLeast, requests_ / kShareOf)) return false;
    ++retries_;
    return true;
  }
  void give_back() {
    KVASIR_ASSERT(retries_ > 0, "what is given back was taken");
    --retries_;
  }

  size_t requests() const { return requests_; }
  size_t retries() const { return retries_; }

 private:
  size_t requests_ = 0;
  size_t retries_ = 0;
};

}  // namespace kvasir

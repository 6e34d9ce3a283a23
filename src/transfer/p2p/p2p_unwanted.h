// Requests whose blocks nobody wants, for a while: whoever decodes may say so before the blocks are
// offered, or sent. Bounded: beyond it the oldest are forgotten first.
#pragma once

#include <cstddef>
#include <deque>
#include <map>
#include <string>
#include <utility>

#include "base/clock.h"

namespace kvasir {

struct P2pUnwantedLimits {
  size_t requests_max = 10'000;
  Duration keep = std::chrono::seconds(10);  // how much later blocks may come
};

class P2pUnwanted {
 public:
  explicit P2pUnwanted(const P2pUnwantedLimits& limits) : limits_(limits) {}

  void add(const std::string& key, TimePoint now) {
    forget_old(now);
    if (!since_.emplace(key, now).second) return;
    order_.emplace_back(now, key);
    forget_old(now);
  }
  // Whether it was there; then it is wanted from now on.
  bool take(const std::string& key, TimePoint now) {
    forget_old(now);
    return since_.erase(key) > 0;
  }
  bool has(const std::string& key, TimePoint now) {
    forget_old(now);
    return since_.count(key) > 0;
  }

 private:
  void forget_old(TimePoint now) {
    while (!order_.empty() && (order_.size() > limits_.requests_max ||
                               order_.front().first + limits_.keep <= now)) {
      const auto& [since, key] = order_.front();
      const auto found = since_.find(key);
      if (found != since_.end() && found->second == since) since_.erase(found);
      order_.pop_front();
    }
  }

  const P2pUnwantedLimits limits_;
  std::map<std::string, TimePoint> since_;
  std::deque<std::pair<TimePoint, std::string>> order_;  // also of those that were taken
};

}  // namespace kvasir

// What a KV-cache manager measures itself, because engines do not report it: how much of the
// prompts that it was asked about each pod had, which blocks were asked for most, and how fast pods
// evict. On one thread.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <optional>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"

namespace kvasir {

// Of the questions since the program started.
class HitRates {
 public:
  // A pod had that share (0 to 1) of a prompt that was asked about.
  void had(EndpointId pod, double share);
  // The best of the pods had that.
  void best_had(double share);
  void forget(EndpointId pod) { by_pod_.erase(index_of(pod)); }
  // nullopt: nobody has asked.
  std::optional<double> of(EndpointId pod) const;
  std::optional<double> of_best() const;

 private:
  struct Mean {
    double sum = 0;
    uint64_t count = 0;
    std::optional<double> value() const;
  };
  std::map<uint32_t, Mean> by_pod_;
  Mean best_;
};

// How often each block was asked for by name.
class AskedBlocks {
 public:
  struct Asked {
    std::string text;  // as it was asked for
    uint64_t name = 0;
    uint64_t count = 0;
    double last = 0;  // seconds since 1970
  };

  explicit AskedBlocks(size_t blocks_max = 4096) : blocks_max_(blocks_max) {}
  // When there are too many, the one that was asked for least makes room.
  void ask(const std::string& text, uint64_t name, double now);
  // Those with the highest counts first.
  std::vector<const Asked*> by_count() const;

 private:
  const size_t blocks_max_;
  std::unordered_map<uint64_t, Asked> blocks_;
};

// How many blocks each pod evicted in a second, over the last minute.
class EvictionRates {
 public:
  static constexpr Duration kWindow = std::chrono::minutes(1);

  // `removed`: how many it has evicted so far.
  void sample(EndpointId pod, uint64_t removed, TimePoint now);
  void forget(EndpointId pod) { by_pod_.erase(index_of(pod)); }
  // nullopt: it has not been watched for a second.
  std::optional<double> of(EndpointId pod) const;

 private:
  std::map<uint32_t, std::deque<std::pair<TimePoint, uint64_t>>> by_pod_;
};

}  // namespace kvasir

// Blocks that pods announce by name alone, without what is in them or what comes before them: the
// tutorial's JSON events. Whoever asks for a prompt's blocks gives their order.
//
// A block that is announced once for each layer is one block: there from its first layer on, gone
// when the first layer is evicted. Thread-safe.
#pragma once

#include <bitset>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <span>
#include <unordered_map>

#include "model/endpoint.h"
#include "wire/kv_events/kv_event_json.h"

namespace kvasir {

class NamedBlockSets {
 public:
  // Of all pods together; more are not taken.
  explicit NamedBlockSets(size_t blocks_max) : blocks_max_(blocks_max) {}

  void apply(EndpointId pod, const KvJsonEvent& event);
  void forget(EndpointId pod);

  struct Found {
    size_t leading = 0;
    size_t present = 0;
  };
  Found find(EndpointId pod, std::span<const uint64_t> names) const;

  struct PodCounts {
    uint64_t blocks = 0;
    std::optional<uint64_t> bytes;  // as announced; none: nothing was
    uint32_t block_tokens = 0;      // of the block that came last; 0: no event said it
    uint64_t stored = 0;            // blocks that came, since it was first seen
    uint64_t removed = 0;
    uint64_t refused = 0;   // beyond blocks_max
    double last_event = 0;  // the latest timestamp of its events
  };
  // nullopt: it never announced a block so.
  std::optional<PodCounts> counts(EndpointId pod) const;
  // Of all pods, each name once.
  size_t distinct() const;
  // Calls `use` with each name that a pod has.
  template <class Use>
  void each(EndpointId pod, Use&& use) const {
    std::lock_guard lock(mutex_);
    const auto found = pods_.find(index_of(pod));
    if (found == pods_.end()) return;
    for (const auto& [name, block] : found->second.blocks) use(name);
  }

 private:
  static constexpr uint32_t kLayersMax = 256;  // beyond: the block's size is that of these
  struct Block {
    std::bitset<kLayersMax> layers;
    uint64_t bytes = 0;
  };
  struct Pod {
    std::unordered_map<uint64_t, Block> blocks;
    PodCounts counts;
  };

  void create(Pod& pod, uint64_t name, const KvJsonEvent& event);
  void evict(Pod& pod, uint64_t name);
  static void resize(Pod& pod, Block& block, const KvJsonEvent& event);

  static constexpr uint64_t kBlockBytesMax = uint64_t{1} << 40;  // a larger size is no size

  const size_t blocks_max_;
  mutable std::mutex mutex_;
  std::map<uint32_t, Pod> pods_;
  size_t blocks_ = 0;                               // of all pods
  std::unordered_map<uint64_t, uint32_t> holders_;  // how many pods have each name
};

}  // namespace kvasir

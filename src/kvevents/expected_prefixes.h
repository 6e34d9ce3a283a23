// Blocks that endpoints will have soon because a prompt was sent there, until its engine says so by
// itself. Each is believed for a short while only. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <shared_mutex>

#include "base/clock.h"
#include "kvindex/number_map.h"
#include "kvindex/reserved_array.h"
#include "model/block_chain.h"
#include "model/endpoint.h"

namespace kvasir {

class ExpectedPrefixes {
 public:
  // Of each block beyond `blocks_max` the oldest is forgotten. Endpoint ids are below
  // `endpoints_max`; of others nothing is expected.
  ExpectedPrefixes(size_t blocks_max, size_t endpoints_max);

  // The blocks of `chain` from `first` on are expected there.
  void add(EndpointId endpoint, BlockChain& chain, size_t first, TimePoint now, TimePoint until);
  // Whether anything may be expected there: without a lock.
  bool any(EndpointId endpoint) const;
  // How many blocks of `chain` from `first` on are, without a gap.
  size_t count(EndpointId endpoint, BlockChain& chain, size_t first, TimePoint now) const;
  void forget(EndpointId endpoint);
  size_t size() const;

 private:
  struct State {
    std::atomic<uint32_t> blocks{0};
    std::atomic<uint32_t> generation{0};  // counts forget()
  };
  // What one prompt brought.
  struct Prompt {
    TimePoint until{};
    uint32_t endpoint = 0;
    uint32_t generation = 0;
    size_t blocks = 0;
  };

  uint64_t secret_of(EndpointId endpoint) const;
  void drop_oldest(size_t blocks);

  const size_t blocks_max_;
  const size_t endpoints_;
  const std::unique_ptr<State[]> states_;
  mutable std::shared_mutex mutex_;
  MemoryBudget budget_;
  NumberMap until_;             // by key; as ticks
  std::deque<Prompt> prompts_;  // as they came
  std::deque<uint64_t> keys_;   // of all their blocks
};

}  // namespace kvasir

// Blocks that endpoints will have soon because a prompt was sent there, until its engine says so by
// itself. Each is believed for a short while only. Thread-safe.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <memory>
#include <shared_mutex>
#include <unordered_map>

#include "base/clock.h"
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
  struct Record {
    uint64_t key = 0;
    TimePoint until{};
    uint32_t endpoint = 0;
    uint32_t generation = 0;
  };

  uint64_t key_of(EndpointId endpoint, BlockHash hash) const;
  void drop_oldest();

  const size_t blocks_max_;
  const size_t endpoints_;
  const std::unique_ptr<State[]> states_;
  mutable std::shared_mutex mutex_;
  std::unordered_map<uint64_t, TimePoint> until_;  // by key
  std::deque<Record> records_;                     // as they came
};

}  // namespace kvasir

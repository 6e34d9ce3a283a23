// For tests: the contract of PrefixIndex written the slow and obvious way. Exact: it looks at each
// block of a prompt, in order.
#pragma once

#include <algorithm>
#include <list>
#include <vector>

#include "kvindex/prefix_index.h"

namespace kvasir {

class NaiveIndex final : public PrefixIndex {
 public:
  explicit NaiveIndex(const PrefixIndexOptions& options)
      : blocks_max_(options.blocks_max()),
        endpoints_(options.endpoints, Held{{}, options.capacity_blocks}) {}

  void match(const PromptView& prompt, std::span<const EndpointId> endpoints,
             std::span<uint32_t> matched) const override {
    for (const EndpointId id : endpoints) {
      const std::list<BlockHash>& recent = endpoints_[index_of(id)].recent;
      uint32_t& blocks = matched[index_of(id)] = 0;
      for (const BlockHash hash : prompt.hashes) {
        if (std::find(recent.begin(), recent.end(), hash) == recent.end()) break;
        ++blocks;
      }
    }
  }
  void insert(EndpointId endpoint, const PromptView& prompt) override {
    Held& held = endpoints_[index_of(endpoint)];
    held.holds |= !prompt.hashes.empty() && held.capacity > 0;
    trim();
    for (size_t i = prompt.hashes.size(); i-- > 0;) {
      held.recent.remove(prompt.hashes[i]);
      held.recent.push_front(prompt.hashes[i]);
      trim();
    }
  }
  void set_capacity(EndpointId endpoint, size_t blocks) override {
    endpoints_[index_of(endpoint)].capacity = blocks;
    trim();
  }
  void forget(EndpointId endpoint) override {
    endpoints_[index_of(endpoint)].recent.clear();
    endpoints_[index_of(endpoint)].holds = false;
  }
  size_t size() const override {
    size_t blocks = 0;
    for (const Held& held : endpoints_) blocks += held.recent.size();
    return blocks;
  }
  size_t memory_bytes() const override { return size() * PrefixIndexOptions::kBytesPerBlock; }

 private:
  struct Held {
    std::list<BlockHash> recent;  // most recent first
    size_t capacity = 0;
    bool holds = false;  // something was sent there
  };

  void trim() {
    size_t holders = 0;
    size_t promised = 0;
    for (const Held& held : endpoints_) {
      if (!held.holds) continue;
      ++holders;
      promised += held.capacity;
    }
    for (Held& held : endpoints_) {
      const size_t share = promised <= blocks_max_ ? held.capacity : blocks_max_ / holders;
      while (held.recent.size() > std::min(held.capacity, share)) held.recent.pop_back();
    }
  }

  const size_t blocks_max_;
  std::vector<Held> endpoints_;
};

}  // namespace kvasir

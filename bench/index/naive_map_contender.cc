// What one writes first: a map from block to the set of its holders and, for removals, a map from
// engine hash to block for each holder. One lock.
#include <mutex>
#include <shared_mutex>
#include <unordered_map>
#include <unordered_set>

#include "hashing/token_blocks.h"
#include "index/contender.h"

namespace kvasir {
namespace {

class NaiveMapContender final : public IndexContender {
 public:
  explicit NaiveMapContender(size_t holders) { holders_.reserve(holders); }

  HolderId add_holder() override {
    const std::unique_lock lock(mutex_);
    holders_.emplace_back();
    return HolderId{static_cast<uint32_t>(holders_.size() - 1)};
  }

  void store(const StoredBlocks& stored) override {
    const std::unique_lock lock(mutex_);
    auto& held = holders_[index_of(stored.holder)];
    BlockHash hash = stored.root;
    if (stored.parent) {
      const auto parent = held.find(*stored.parent);
      if (parent == held.end()) return;
      hash = parent->second.block;
    }
    for (size_t i = 0; i < stored.contents.size(); ++i) {
      hash = chain_block(hash, stored.contents[i]);
      Held& copies = held[stored.engine_hashes[i]];
      copies.block = hash;
      if (copies.count++ == 0) blocks_[hash].insert(index_of(stored.holder));
    }
  }

  void remove(HolderId holder, std::span<const uint64_t> engine_hashes) override {
    const std::unique_lock lock(mutex_);
    auto& held = holders_[index_of(holder)];
    for (const uint64_t engine_hash : engine_hashes) {
      const auto found = held.find(engine_hash);
      if (found == held.end() || --found->second.count > 0) continue;
      drop(found->second.block, index_of(holder));
      held.erase(found);
    }
  }

  void clear(HolderId holder) override {
    const std::unique_lock lock(mutex_);
    auto& held = holders_[index_of(holder)];
    for (const auto& [engine_hash, copies] : held) drop(copies.block, index_of(holder));
    held = {};
  }
  bool tidy() override { return false; }

  void match(BlockChain& prompt, std::vector<HolderMatch>& matches) const override {
    const std::shared_lock lock(mutex_);
    matches.clear();
    const std::span<const BlockHash> hashes = prompt.at_least(prompt.blocks());
    std::vector<uint32_t> active;
    for (uint32_t i = 0; i < hashes.size(); ++i) {
      const auto found = blocks_.find(hashes[i]);
      if (found == blocks_.end()) return end(active, i, matches);
      if (i == 0) active.assign(found->second.begin(), found->second.end());
      std::erase_if(active, [&](uint32_t holder) {
        if (found->second.count(holder) > 0) return false;
        if (i > 0) matches.push_back({HolderId{holder}, i, {i, 0, 0}});
        return true;
      });
      if (active.empty()) return;
    }
    end(active, static_cast<uint32_t>(hashes.size()), matches);
  }

 private:
  struct Held {
    BlockHash block = 0;
    uint32_t count = 0;
  };

  void drop(BlockHash block, uint32_t holder) {
    const auto found = blocks_.find(block);
    found->second.erase(holder);
    if (found->second.empty()) blocks_.erase(found);
  }
  static void end(const std::vector<uint32_t>& active, uint32_t depth,
                  std::vector<HolderMatch>& matches) {
    for (const uint32_t holder : active) {
      if (depth > 0) matches.push_back({HolderId{holder}, depth, {depth, 0, 0}});
    }
  }

  mutable std::shared_mutex mutex_;
  std::unordered_map<BlockHash, std::unordered_set<uint32_t>> blocks_;
  std::vector<std::unordered_map<uint64_t, Held>> holders_;  // by engine hash
};

}  // namespace

std::unique_ptr<IndexContender> make_naive_map_contender(size_t holders) {
  return std::make_unique<NaiveMapContender>(holders);
}

}  // namespace kvasir

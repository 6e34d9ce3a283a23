// For tests: the contract of BlockIndex written the slow and obvious way, with maps. One thread.
#pragma once

#include <algorithm>
#include <array>
#include <map>
#include <optional>
#include <set>
#include <vector>

#include "hashing/token_blocks.h"
#include "kvindex/block_index.h"

namespace kvasir {

class NaiveBlockIndex final : public BlockIndex {
 public:
  explicit NaiveBlockIndex(const BlockIndexOptions& options) : options_(options) {}

  void match(BlockChain& prompt, std::vector<HolderMatch>& matches) const override {
    matches.clear();
    for (const auto& [id, holder] : holders_) {
      HolderMatch match{HolderId{id}, 0, {}};
      for (; match.blocks < prompt.blocks(); ++match.blocks) {
        const BlockHash hash = prompt.at_least(match.blocks + 1)[match.blocks];
        const std::optional<size_t> tier = fastest_tier(holder, hash);
        if (!tier) break;
        ++match.by_tier[*tier];
      }
      if (match.blocks > 0) matches.push_back(match);
    }
  }
  size_t distinct_blocks() const override { return blocks_.size(); }
  size_t memberships() const override { return memberships_; }
  size_t memory_bytes() const override {
    size_t bytes = blocks_.size() * kBytesPerNode + common_.size() * kBytesPerNode;
    for (const auto& [id, holder] : holders_) {
      bytes += (holder.names.size() + 2 * holder.blocks.size()) * kBytesPerNode;
    }
    return bytes;
  }

  std::optional<HolderId> add_holder() override {
    for (uint32_t id = 0; id < options_.holders_max; ++id) {
      if (holders_.emplace(id, Holder{}).second) return HolderId{id};
    }
    return std::nullopt;
  }
  void remove_holder(HolderId holder) override {
    clear(holder);
    holders_.erase(index_of(holder));
  }

  StoreOutcome store(const StoredBlocks& stored) override {
    BlockHash parent = stored.root;
    if (stored.parent) {
      const std::optional<BlockHash> known = find(holder_of(stored.holder), *stored.parent);
      if (!known) return StoreOutcome::kUnknownParent;
      parent = *known;
    }
    for (size_t i = 0; i < stored.engine_hashes.size(); ++i) {
      const BlockHash hash = chain_block(parent, stored.contents[i]);
      const uint64_t name = stored.engine_hashes[i];
      drop_other(stored.holder, name, hash);
      create(hash, parent, common_.contains(name) ? std::nullopt : std::optional(name));
      hold(stored.holder, stored.tier, name, hash, 1);
      parent = hash;
    }
    return StoreOutcome::kStored;
  }
  size_t attach(HolderId holder, CacheTier tier, std::span<const uint64_t> names) override {
    size_t known = 0;
    for (const uint64_t name : names) {
      const std::optional<BlockHash> hash = find(holder_of(holder), name);
      if (!hash) continue;
      ++known;
      hold(holder, tier, name, *hash, 1);
    }
    return known;
  }
  size_t remove(HolderId holder, CacheTier tier, std::span<const uint64_t> names) override {
    size_t had = 0;
    for (const uint64_t name : names) {
      const auto found = holder_of(holder).names.find(name);
      if (found == holder_of(holder).names.end()) continue;
      uint32_t& copies = found->second.copies[static_cast<size_t>(tier)];
      if (copies == 0) continue;
      ++had;
      const BlockHash hash = found->second.hash;
      memberships_ -= tiers_of(holder_of(holder), hash);
      --copies;
      memberships_ += tiers_of(holder_of(holder), hash);
      if (found->second.copies == Copies{}) drop(holder, name);
    }
    return had;
  }
  void clear(HolderId holder) override {
    while (!holder_of(holder).names.empty()) drop(holder, holder_of(holder).names.begin()->first);
  }
  size_t blocks_of(HolderId holder) const override {
    return holders_.at(index_of(holder)).blocks.size();
  }

  size_t held(HolderId holder, CacheTier tier, std::span<const uint64_t> names) const override {
    const auto& known = holders_.at(index_of(holder)).names;
    return static_cast<size_t>(std::count_if(names.begin(), names.end(), [&](uint64_t name) {
      const auto found = known.find(name);
      return found != known.end() && found->second.copies[static_cast<size_t>(tier)] > 0;
    }));
  }
  bool tidy() override { return false; }
  size_t expire(TimePoint stored_before) override {
    const size_t before = memberships();
    std::vector<BlockHash> old;
    for (const auto& [hash, block] : blocks_) {
      if (block.stored < stored_before) old.push_back(hash);
    }
    for (const BlockHash hash : old) forget(hash);
    return before - memberships();
  }
  void shrink(size_t distinct_blocks) override {
    while (blocks_.size() > distinct_blocks) {
      forget(std::min_element(blocks_.begin(), blocks_.end(), [](const auto& a, const auto& b) {
               return a.second.stored < b.second.stored;
             })->first);
    }
  }
  void set_time(TimePoint now) override { now_ = now; }

  void visit(Visitor& visitor) const override {
    for (const auto& [id, holder] : holders_) {
      for (const auto& [name, held] : holder.names) {
        const Block& block = blocks_.at(held.hash);
        for (size_t tier = 0; tier < kCacheTiers; ++tier) {
          if (held.copies[tier] == 0) continue;
          visitor.on_block({HolderId{id}, static_cast<CacheTier>(tier), held.copies[tier],
                            block.parent, held.hash, name, block.name.value_or(held.hash)});
        }
      }
    }
  }
  StoreOutcome restore(const KnownBlock& block) override {
    const auto named = common_.find(block.common_name);
    const auto known = blocks_.find(block.hash);
    if (known == blocks_.end() ? named != common_.end()
                               : named == common_.end() || named->second != block.hash) {
      return StoreOutcome::kUnknownParent;
    }
    drop_other(block.holder, block.engine_hash, block.hash);
    create(block.hash, block.parent, block.common_name);
    hold(block.holder, block.tier, block.engine_hash, block.hash, block.copies);
    return StoreOutcome::kStored;
  }

 private:
  static constexpr size_t kBytesPerNode = 80;  // of a map, about

  struct Block {
    BlockHash parent = 0;
    std::optional<uint64_t> name;  // none: it was another block's common name
    TimePoint stored{};
    size_t holders = 0;
  };
  using Copies = std::array<uint32_t, kCacheTiers>;
  struct Held {
    BlockHash hash = 0;
    Copies copies{};
  };
  struct Holder {
    std::map<uint64_t, Held> names;
    std::map<BlockHash, std::set<uint64_t>> blocks;  // by which names it has each
  };

  Holder& holder_of(HolderId id) { return holders_.at(index_of(id)); }

  bool has(const Holder& holder, BlockHash hash, size_t tier) const {
    const auto found = holder.blocks.find(hash);
    if (found == holder.blocks.end()) return false;
    return std::any_of(found->second.begin(), found->second.end(),
                       [&](uint64_t name) { return holder.names.at(name).copies[tier] > 0; });
  }
  size_t tiers_of(const Holder& holder, BlockHash hash) const {
    size_t tiers = 0;
    for (size_t tier = 0; tier < kCacheTiers; ++tier) tiers += has(holder, hash, tier);
    return tiers;
  }
  std::optional<size_t> fastest_tier(const Holder& holder, BlockHash hash) const {
    for (size_t tier = 0; tier < kCacheTiers; ++tier) {
      if (has(holder, hash, tier)) return tier;
    }
    return std::nullopt;
  }
  std::optional<BlockHash> find(const Holder& holder, uint64_t name) const {
    const auto own = holder.names.find(name);
    if (own != holder.names.end()) return own->second.hash;
    const auto common = common_.find(name);
    return common == common_.end() ? std::nullopt : std::optional(common->second);
  }

  // Before the holder has `hash` under that name.
  void drop_other(HolderId id, uint64_t name, BlockHash hash) {
    const auto other = holder_of(id).names.find(name);
    if (other != holder_of(id).names.end() && other->second.hash != hash) drop(id, name);
  }
  void create(BlockHash hash, BlockHash parent, std::optional<uint64_t> name) {
    if (blocks_.try_emplace(hash, Block{parent, name, now_, 0}).second && name) {
      common_.emplace(*name, hash);
    }
  }
  void hold(HolderId id, CacheTier tier, uint64_t name, BlockHash hash, uint32_t copies) {
    Holder& holder = holder_of(id);
    memberships_ -= tiers_of(holder, hash);
    Held& held = holder.names[name];
    held.hash = hash;
    uint32_t& count = held.copies[static_cast<size_t>(tier)];
    count = options_.count_copies ? std::min(count + copies, BlockIndexOptions::kCopiesMax) : 1;
    Block& block = blocks_.at(hash);
    block.stored = now_;
    std::set<uint64_t>& names = holder.blocks[hash];
    block.holders += names.empty();
    names.insert(name);
    memberships_ += tiers_of(holder, hash);
  }
  void drop(HolderId id, uint64_t name) {
    Holder& holder = holder_of(id);
    const BlockHash hash = holder.names.at(name).hash;
    memberships_ -= tiers_of(holder, hash);
    std::set<uint64_t>& names = holder.blocks.at(hash);
    names.erase(name);
    holder.names.erase(name);
    memberships_ += tiers_of(holder, hash);
    if (!names.empty()) return;
    holder.blocks.erase(hash);
    Block& block = blocks_.at(hash);
    if (--block.holders > 0) return;
    if (block.name) common_.erase(*block.name);
    blocks_.erase(hash);
  }
  void forget(BlockHash hash) {
    for (auto& [id, holder] : holders_) {
      const auto held = holder.blocks.find(hash);
      if (held == holder.blocks.end()) continue;
      const std::set<uint64_t> names = held->second;
      for (const uint64_t name : names) drop(HolderId{id}, name);
    }
  }

  const BlockIndexOptions options_;
  std::map<uint32_t, Holder> holders_;
  std::map<BlockHash, Block> blocks_;  // each is somebody's
  std::map<uint64_t, BlockHash> common_;
  size_t memberships_ = 0;
  TimePoint now_{};
};

}  // namespace kvasir

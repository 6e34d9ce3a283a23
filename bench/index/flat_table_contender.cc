// Flat chained-hash table: block -> the number of its interned set of holders; and the same blocks
// by engine hash, in one dictionary for all holders that agree. Readers take no lock; one writer.
//
// - A clear gives the holder a fresh lane (its bit in the sets) at once; the old one is taken out
//   of the sets by and by.
// - Copies beyond the first are counted aside. A holder that calls a block by another name than the
//   first who had it keeps that name itself.
// - match() looks at every block of the prompt, and prefetches what comes a little later. `gallop`
//   looks only where the set changes, as the usual shortcut does: with holes it answers too much.
#include <algorithm>
#include <atomic>
#include <memory>
#include <utility>
#include <vector>

#include "hashing/token_blocks.h"
#include "index/contender.h"
#include "index/flat_table.h"
#include "index/holder_sets.h"
#include "index/reader_epochs.h"
#include "index/word_map.h"

namespace kvasir {
namespace {

// Those that had every block of a prompt so far, as lanes; and what is told of those that had not.
class LaneWalk {
 public:
  LaneWalk(const HolderSets& sets, const std::vector<std::atomic<uint32_t>>& holder_of_lane,
           std::vector<HolderMatch>& matches)
      : sets_(sets), holder_of_lane_(holder_of_lane), matches_(matches), active_(scratch()) {
    active_.resize(sets.words());
  }

  // Each answers whether anybody is left.
  bool begin(uint32_t set) {
    std::copy_n(sets_.of(set), active_.size(), active_.begin());
    return any();
  }
  bool narrow(uint32_t set, uint32_t depth) {
    const uint64_t* words = sets_.of(set);
    for (size_t i = 0; i < active_.size(); ++i) {
      tell(i, active_[i] & ~words[i], depth);
      active_[i] &= words[i];
    }
    return any();
  }
  void end(uint32_t depth) {
    for (size_t i = 0; i < active_.size(); ++i) tell(i, active_[i], depth);
  }

 private:
  static std::vector<uint64_t>& scratch() {
    thread_local std::vector<uint64_t> words;
    return words;
  }
  bool any() const {
    return std::any_of(active_.begin(), active_.end(), [](uint64_t word) { return word != 0; });
  }
  void tell(size_t word, uint64_t lanes, uint32_t depth) {
    for (; lanes != 0; lanes &= lanes - 1) {
      const size_t lane = word * 64 + static_cast<size_t>(__builtin_ctzll(lanes));
      const uint32_t holder = holder_of_lane_[lane].load(std::memory_order_acquire);
      if (holder != UINT32_MAX) matches_.push_back({HolderId{holder}, depth, {depth, 0, 0}});
    }
  }

  const HolderSets& sets_;
  const std::vector<std::atomic<uint32_t>>& holder_of_lane_;
  std::vector<HolderMatch>& matches_;
  std::vector<uint64_t>& active_;
};

class FlatTableContender final : public IndexContender {
 public:
  FlatTableContender(size_t holders, bool gallop)
      : gallop_(gallop),
        sets_(holders + kSpareLanes, epochs_),
        owned_(std::make_unique<FlatTable>(1024)),
        table_(owned_.get()),
        holder_of_lane_(holders + kSpareLanes),
        dead_(sets_.words()) {
    for (size_t lane = holder_of_lane_.size(); lane-- > 0;) {
      holder_of_lane_[lane].store(kNobody, std::memory_order_relaxed);
      free_lanes_.push_back(static_cast<uint32_t>(lane));
    }
  }

  HolderId add_holder() override {
    const auto number = static_cast<uint32_t>(holders_.size());
    holders_.push_back({take_lane(number), {}, {}});
    return HolderId{number};
  }

  void store(const StoredBlocks& stored) override {
    Holder& holder = holders_[index_of(stored.holder)];
    uint64_t hash = stored.root;
    if (stored.parent) {
      const Found parent = find(holder, *stored.parent);
      if (parent.slot == nullptr) return;
      hash = parent.hash;
    }
    hashes_.clear();
    for (size_t i = 0; i < stored.contents.size(); ++i) {
      hash = chain_block(hash, stored.contents[i]);
      hashes_.push_back(hash);
      owned_->prefetch(FlatTable::key_of(hash));
      owned_->prefetch_name(stored.engine_hashes[i]);
    }
    for (size_t i = 0; i < hashes_.size(); ++i) {
      store_one(holder, hashes_[i], stored.engine_hashes[i]);
    }
  }

  void remove(HolderId id, std::span<const uint64_t> engine_hashes) override {
    Holder& holder = holders_[index_of(id)];
    for (const uint64_t name : engine_hashes) remove_one(holder, name);
  }

  void clear(HolderId id) override {
    Holder& holder = holders_[index_of(id)];
    holder_of_lane_[holder.lane].store(kNobody, std::memory_order_release);
    dead_lanes_.push_back(holder.lane);
    if (free_lanes_.empty()) {
      while (tidy()) continue;
    }
    holder = {take_lane(index_of(id)), {}, {}};
  }

  bool tidy() override {
    if (sweeping_.empty()) {
      if (dead_lanes_.empty()) return false;
      sweeping_.swap(dead_lanes_);
      std::fill(dead_.begin(), dead_.end(), 0);
      for (const uint32_t lane : sweeping_) dead_[lane / 64] |= uint64_t{1} << (lane % 64);
      swept_ = 0;
    }
    const size_t until = std::min(owned_->capacity(), swept_ + kSweepSlots);
    for (; swept_ < until; ++swept_) sweep(owned_->slot(swept_));
    if (swept_ < owned_->capacity()) return true;
    retired_lanes_.emplace_back(epochs_.mark(), std::move(sweeping_));
    sweeping_ = {};
    return !dead_lanes_.empty();
  }

  void match(BlockChain& prompt, std::vector<HolderMatch>& matches) const override {
    matches.clear();
    const ReaderEpochs::Inside inside(epochs_);
    const FlatTable& table = *table_.load(std::memory_order_acquire);
    LaneWalk walk(sets_, holder_of_lane_, matches);
    if (gallop_) {
      gallop(prompt, table, walk);
    } else {
      look_at_each(prompt, table, walk);
    }
  }

 private:
  static constexpr uint32_t kNobody = UINT32_MAX;
  static constexpr size_t kSpareLanes = 64;
  static constexpr size_t kSweepSlots = 1024;
  static constexpr size_t kAhead = 16;

  struct Holder {
    uint32_t lane = 0;
    WordMap<uint32_t> extra_copies;  // of blocks that it has more than once
    WordMap<uint64_t> own_names;     // engine hashes of blocks that others call by another name
  };
  struct Found {
    FlatTable::Slot* slot = nullptr;
    uint64_t hash = 0;
    bool own_name = false;
  };

  void look_at_each(BlockChain& prompt, const FlatTable& table, LaneWalk& walk) const {
    const auto blocks = static_cast<uint32_t>(prompt.blocks());
    uint32_t before = HolderSets::kEmpty;
    for (uint32_t i = 0; i < blocks; ++i) {
      const std::span<const BlockHash> hashes = prompt.at_least(i + 1);
      if (i + kAhead < hashes.size()) table.prefetch(FlatTable::key_of(hashes[i + kAhead]));
      const uint32_t set = table.find_set(FlatTable::key_of(hashes[i]));
      if (set == before && i > 0) continue;
      if (!(i == 0 ? walk.begin(set) : walk.narrow(set, i))) return;
      before = set;
    }
    walk.end(blocks);
  }

  void gallop(BlockChain& prompt, const FlatTable& table, LaneWalk& walk) const {
    const auto blocks = static_cast<uint32_t>(prompt.blocks());
    const auto set_at = [&](uint32_t i) {
      return table.find_set(FlatTable::key_of(prompt.at_least(i + 1)[i]));
    };
    if (blocks == 0 || !walk.begin(set_at(0))) return;
    for (uint32_t at = 0;;) {
      // The last block with the same set is at `at` or behind it, and before `beyond`.
      const uint32_t set = set_at(at);
      uint32_t beyond = blocks;
      for (uint32_t step = 1; at + step < blocks; step *= 2) {
        if (set_at(at + step) != set) {
          beyond = at + step;
          break;
        }
        at += step;
      }
      while (at + 1 < beyond) {
        const uint32_t middle = at + (beyond - at) / 2;
        (set_at(middle) == set ? at : beyond) = middle;
      }
      if (++at == blocks) return walk.end(blocks);
      if (!walk.narrow(set_at(at), at)) return;
    }
  }

  Found find(const Holder& holder, uint64_t name) {
    if (const uint64_t* own = holder.own_names.find(name)) {
      return {owned_->find(FlatTable::key_of(*own)), *own, true};
    }
    FlatTable::Slot* slot = owned_->find_name(name);
    // The key stands for the hash here: chains go on from it alike.
    return {slot, slot ? slot->key.load(std::memory_order_relaxed) : 0, false};
  }

  void store_one(Holder& holder, uint64_t hash, uint64_t name) {
    const uint64_t key = FlatTable::key_of(hash);
    FlatTable::Slot* slot = owned_->find(key);
    if (slot == nullptr) return add_block(holder, key, hash, name);
    const uint32_t set = slot->set.load(std::memory_order_relaxed);
    if (HolderSets::contains(sets_.of(set), holder.lane)) {
      ++holder.extra_copies.at(key);
      return;
    }
    if (slot->name != name || !FlatTable::is_named(*slot)) holder.own_names.at(name) = hash;
    const uint32_t with = added(set, holder.lane);
    sets_.use(with);
    slot->set.store(with, std::memory_order_release);
    sets_.release(set);
  }

  void add_block(Holder& holder, uint64_t key, uint64_t hash, uint64_t name) {
    if (owned_->crowded()) write_anew();
    // A name that means another block already stays the holder's own.
    const bool named = owned_->find_name(name) == nullptr;
    if (!named) holder.own_names.at(name) = hash;
    const uint32_t set = added(HolderSets::kEmpty, holder.lane);
    sets_.use(set);
    owned_->add(key, set, name, named);
  }

  // The set with that lane added. The next block of the same event mostly had the same holders, so
  // the last answer is kept.
  uint32_t added(uint32_t set, uint32_t lane) {
    if (set == last_set_ && lane == last_lane_) return last_added_;
    const uint32_t with = sets_.toggled(set, lane);
    sets_.use(with);
    sets_.use(set);
    sets_.release(last_set_);
    sets_.release(last_added_);
    last_set_ = set;
    last_lane_ = lane;
    last_added_ = with;
    return with;
  }

  void remove_one(Holder& holder, uint64_t name) {
    const Found found = find(holder, name);
    if (found.slot == nullptr) return;
    const uint32_t set = found.slot->set.load(std::memory_order_relaxed);
    if (!HolderSets::contains(sets_.of(set), holder.lane)) return;
    const uint64_t key = FlatTable::key_of(found.hash);
    if (uint32_t* extra = holder.extra_copies.find(key)) {
      if (--*extra == 0) holder.extra_copies.erase(key);
      return;
    }
    if (found.own_name) holder.own_names.erase(name);
    leave(*found.slot, set, sets_.toggled(set, holder.lane));
  }

  void leave(FlatTable::Slot& slot, uint32_t set, uint32_t left) {
    if (left == HolderSets::kEmpty) {
      owned_->erase(&slot);
    } else {
      sets_.use(left);
      slot.set.store(left, std::memory_order_release);
    }
    sets_.release(set);
  }

  void write_anew() {
    const size_t live = owned_->live(), capacity = owned_->capacity();
    auto anew =
        std::make_unique<FlatTable>(live * 20 > capacity * 11 ? capacity + capacity / 2 : capacity);
    for (size_t i = 0; i < capacity; ++i) {
      const FlatTable::Slot& slot = owned_->slot(i);
      const uint64_t key = slot.key.load(std::memory_order_relaxed);
      if (key <= FlatTable::kTombstone) continue;
      anew->add(key, slot.set.load(std::memory_order_relaxed), slot.name,
                FlatTable::is_named(slot));
    }
    table_.store(anew.get(), std::memory_order_release);
    old_tables_.emplace_back(epochs_.mark(), std::move(owned_));
    owned_ = std::move(anew);
    swept_ = 0;
    std::erase_if(old_tables_, [&](const auto& old) { return epochs_.passed(old.first); });
  }

  void sweep(FlatTable::Slot& slot) {
    if (slot.key.load(std::memory_order_relaxed) <= FlatTable::kTombstone) return;
    const uint32_t set = slot.set.load(std::memory_order_relaxed);
    const uint64_t* words = sets_.of(set);
    bool touched = false;
    for (size_t i = 0; i < dead_.size(); ++i) touched |= (words[i] & dead_[i]) != 0;
    if (touched) leave(slot, set, sets_.without(set, dead_));
  }

  uint32_t take_lane(uint32_t holder) {
    do {
      std::erase_if(retired_lanes_, [&](auto& retired) {
        if (!epochs_.passed(retired.first)) return false;
        free_lanes_.insert(free_lanes_.end(), retired.second.begin(), retired.second.end());
        return true;
      });
    } while (free_lanes_.empty());  // until readers have left
    const uint32_t lane = free_lanes_.back();
    free_lanes_.pop_back();
    holder_of_lane_[lane].store(holder, std::memory_order_release);
    return lane;
  }

  const bool gallop_;
  ReaderEpochs epochs_;
  HolderSets sets_;
  std::unique_ptr<FlatTable> owned_;
  std::atomic<const FlatTable*> table_;  // the same, for readers
  std::vector<std::pair<uint64_t, std::unique_ptr<FlatTable>>> old_tables_;
  std::vector<Holder> holders_;
  std::vector<uint64_t> hashes_;

  uint32_t last_set_ = HolderSets::kEmpty, last_lane_ = kNobody, last_added_ = HolderSets::kEmpty;

  std::vector<std::atomic<uint32_t>> holder_of_lane_;
  std::vector<uint32_t> free_lanes_;
  std::vector<uint32_t> dead_lanes_;  // to be swept,
  std::vector<uint32_t> sweeping_;    // being swept: also as bits
  std::vector<uint64_t> dead_;
  size_t swept_ = 0;  // slots
  std::vector<std::pair<uint64_t, std::vector<uint32_t>>> retired_lanes_;
};

}  // namespace

std::unique_ptr<IndexContender> make_flat_table_contender(size_t holders, bool gallop) {
  return std::make_unique<FlatTableContender>(holders, gallop);
}

}  // namespace kvasir

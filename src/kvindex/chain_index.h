// The exact index of KV blocks that Kvasir runs with.
//
// Blocks that follow each other are kept together in runs (chain_runs.h), each block once however
// many have it, so a membership mostly costs nothing. A block is found by its common name in one
// dictionary for all holders; only what a holder names otherwise stands in a dictionary of its own.
// Copies beyond the first stand in a table beside it.
//
// A prompt is compared with a run at its end first: hashes are chained, so where they are equal
// there, they are equal before. A match of thousands of blocks reads a few.
#pragma once

#include <array>
#include <atomic>
#include <memory>
#include <optional>
#include <vector>

#include "kvindex/block_index.h"
#include "kvindex/chain_runs.h"
#include "kvindex/chain_seats.h"
#include "kvindex/number_map.h"

namespace kvasir {

class ChainIndex final : public BlockIndex {
 public:
  explicit ChainIndex(const BlockIndexOptions& options);
  ~ChainIndex() override;

  void match(BlockChain& prompt, std::vector<HolderMatch>& matches) const override;
  size_t distinct_blocks() const override { return runs_.distinct_blocks(); }
  size_t memberships() const override { return memberships_.load(std::memory_order_relaxed); }
  size_t memory_bytes() const override { return budget_.used(); }

  std::optional<HolderId> add_holder() override;
  void remove_holder(HolderId holder) override;
  StoreOutcome store(const StoredBlocks& stored) override;
  size_t attach(HolderId holder, CacheTier tier, std::span<const uint64_t> engine_hashes) override;
  size_t remove(HolderId holder, CacheTier tier, std::span<const uint64_t> engine_hashes) override;
  void clear(HolderId holder) override;
  size_t blocks_of(HolderId holder) const override;
  size_t held(HolderId holder, CacheTier tier,
              std::span<const uint64_t> engine_hashes) const override;
  bool tidy() override;
  size_t expire(TimePoint stored_before) override;
  void shrink(size_t distinct_blocks) override;
  void set_time(TimePoint now) override { now_ = coarse(now); }
  void visit(Visitor& visitor) const override;
  StoreOutcome restore(const KnownBlock& block) override;

  size_t runs() const;  // a measure of how well blocks keep together; slow

 private:
  static constexpr uint32_t kNone = ChainRuns::kNone;
  static constexpr size_t kRunsPerTidy = 512;
  static constexpr size_t kPrefetchStored = 128;  // blocks that are looked ahead: an event's
  static constexpr size_t kPrefetchRemoved = 8;

  // By which names a holder has a block.
  enum class Naming : uint8_t { kCommon, kOwn };
  struct Holder {
    HolderId id{};
    std::array<std::array<std::optional<Seat>, kCacheTiers>, 2> seats;  // by Naming and tier
    size_t seats_taken = 0;
    size_t blocks = 0;
    size_t memberships = 0;
    NumberMap own;  // its own names -> OwnName
    // Engines forget the end of a sequence first, block by block: the next is the one before.
    uint32_t removed_last = 1;
    uint32_t removed_before = 1;  // the end of what was removed so before that

    std::optional<Seat>& seat(Naming naming, CacheTier tier) {
      return seats[static_cast<size_t>(naming)][static_cast<size_t>(tier)];
    }
    std::optional<Seat> seat(Naming naming, CacheTier tier) const {
      return seats[static_cast<size_t>(naming)][static_cast<size_t>(tier)];
    }
  };
  // Where one sits: which holder, by which names, in which tier.
  struct At {
    Holder& holder;
    Naming naming;
    CacheTier tier;
    Seat seat;
  };
  // What a holder's own name means: a place, and how many copies are in each tier; in 64 bits.
  struct OwnName {
    explicit OwnName(uint64_t packed);
    explicit OwnName(uint32_t at) : place(at) {}
    uint64_t packed() const;
    uint8_t& in(CacheTier tier) { return copies[static_cast<size_t>(tier)]; }
    uint32_t place;
    std::array<uint8_t, kCacheTiers> copies{};
  };
  // The block before the one that is looked at.
  struct Before {
    uint32_t place = kNone;  // kNone: it is not known
    BlockHash hash = 0;
  };
  // A block in a run.
  struct Found {
    uint32_t run = kNone;
    uint32_t offset = 0;
  };
  struct Piece {
    std::span<const BlockHash> hashes;
    std::span<const uint64_t> names;
  };

  // chain_index.cc: events.
  Holder& holder_of(HolderId id) { return *holders_[index_of(id)]; }
  std::optional<At> at(Holder& holder, Naming naming, CacheTier tier);
  std::optional<uint32_t> find_place(Holder& holder, uint64_t name);
  uint32_t find_common(uint64_t name);
  uint32_t settled(uint32_t place, uint64_t name);
  void remember(uint64_t name, uint32_t place) { recent_[recent_place(name)] = place; }
  static size_t recent_place(uint64_t name) { return (name * 0x9e3779b97f4a7c15ULL) >> 52; }
  Found locate(const Before& before, BlockHash hash);
  Found found_at(uint32_t place) const;
  bool is_at(const Before& before) const;
  size_t store_known(const At& common, Found found, const Piece& piece);
  size_t store_new(const At& common, const Before& before, const Piece& piece);
  bool create_own(const At& own, const Before& before, BlockHash hash, uint64_t common,
                  uint64_t name, uint8_t copies);
  BlockSpace::Stretch take_places(const At& at, const Before& before, size_t count, bool& extends);
  size_t create(const At& at, const Before& before, const Piece& piece);
  bool hold_own(const At& own, uint32_t place, uint64_t name, uint32_t copies);
  bool drop_other(Holder& holder, uint64_t name, BlockHash hash);
  void drop_name(Holder& holder, uint64_t name, uint32_t place);
  size_t remove_one(Holder& holder, CacheTier tier, uint64_t name);
  uint32_t guess_removed(const Holder& holder, uint64_t name) const;

  // chain_holding.cc: who covers what.
  bool cover(const At& at, Found found, uint32_t count, uint32_t copies);
  void uncover(const At& at, Found found);
  bool add_copies(const At& at, uint32_t place, uint32_t copies);
  bool drop_copy(const At& at, uint32_t place);
  void forget_copies(Seat seat, uint32_t place, uint32_t count);
  void forget_own_names(Holder& holder, CacheTier tier, uint32_t place, uint32_t count);
  void count_change(const At& at, uint32_t run, uint32_t from, uint32_t until, bool more);
  bool settle(uint32_t run);
  void forget_run(uint32_t run, uint32_t blocks);
  bool may_have_copies(Seat seat, uint32_t place) const {
    return copied_.size() > seat && copied_[seat] > 0 && place / 64 < copied_places_.size() &&
           (copied_places_[place / 64] >> place % 64 & 1) != 0;
  }
  static uint64_t copies_key(Seat seat, uint32_t place) { return uint64_t{seat} << 32 | place; }
  static uint32_t coarse(TimePoint time);

  // chain_match.cc.
  struct Matching;
  bool match_run(uint32_t run, BlockChain& prompt, size_t position, Matching& matching) const;
  uint32_t equal_blocks(uint32_t first, uint32_t length, BlockChain& prompt, size_t position) const;

  const BlockIndexOptions options_;
  MemoryBudget budget_;
  ChainRuns runs_;
  ChainSeats seats_;
  std::vector<std::unique_ptr<Holder>> holders_;  // by id; nullptr: the id is free
  NumberMap copies_;              // copies_key() -> how many, where there are two or more
  std::vector<uint32_t> copied_;  // by seat: its entries in copies_
  // A bit for each place: somebody may have copies of the block there. Asked before copies_, which
  // is large, and seldom in the cache.
  ReservedArray<uint64_t> copied_places_;
  std::atomic<size_t> memberships_{0};
  // Places of names that were stored last, for the blocks that come after them; perhaps outdated.
  std::array<uint32_t, 4096> recent_{};
  std::vector<BlockHash> hashes_;   // of the blocks that are stored
  std::vector<NumberMap> cleared_;  // own names of cleared holders
  uint32_t sweep_next_ = 0;         // the run where the sweep goes on
  uint32_t sweep_epoch_ = 0;
  uint32_t now_ = 0;
  Before restored_;       // the block that was restored last
  uint64_t unnamed_ = 0;  // blocks that got a common name that nobody says
};

}  // namespace kvasir

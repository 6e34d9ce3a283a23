// Which cache holds which block, as the engines themselves say it: exact, with holes.
//
// A holder is one KV cache: that of an engine's process, or of one of its data-parallel ranks or KV
// groups. Engines name blocks by hashes of their own (engine hashes), which nobody outside can
// always recompute; an event says the tokens of a block and the engine hash of the block before it,
// and so tells its BlockHash (hashing/token_blocks.h), by which prompts find it. Removals name the
// engine hash alone.
//
// Of a prompt only the blocks at its beginning count that a holder has without a gap. A block whose
// predecessor is gone stays known, and counts again when the predecessor comes back.
//
// Names. The first holder of a block names it for all: its engine hash is the block's common name
// as long as anybody has the block. A holder that calls it otherwise, or calls it by what is
// another block's common name, has a name of its own for it: only that holder's calls find it, and
// they look there first. To a holder a name means one block: when it stores another one under the
// same name, it does not have the earlier one under that name any more.
//
// One thread writes; match() and the sizes may be called on any thread meanwhile, and neither waits
// long for the other. A match that runs while blocks come and go reports, of each holder, blocks
// that it had at some moment during the call; perhaps a little less, never more.
#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/block_chain.h"
#include "model/block_hash.h"

namespace kvasir {

// Its place among the holders: 0, 1, 2, ...; used again after remove_holder().
enum class HolderId : uint32_t {};
constexpr uint32_t index_of(HolderId id) {
  return static_cast<uint32_t>(id);
}

// Where a holder keeps a block, fastest first. A block can be in several at once.
enum class CacheTier : uint8_t { kGpu, kCpu, kStorage };
inline constexpr size_t kCacheTiers = 3;

struct BlockIndexOptions {
  size_t holders_max = 4096;
  // What all blocks together may take. Blocks beyond it are not stored (StoreOutcome::kFull): so
  // the index knows less than there is, and never more.
  size_t memory_bytes_max = size_t{1} << 30;
  // How many copies of one block a holder has under one name is counted (up to kCopiesMax): it is
  // gone when each was removed. Else with the first removal.
  bool count_copies = true;

  static constexpr uint32_t kCopiesMax = 255;
};

// Consecutive blocks of one sequence that a holder has from now on.
struct StoredBlocks {
  HolderId holder{};
  CacheTier tier = CacheTier::kGpu;
  // The engine hash of the block before the first; nullopt: the first begins a sequence, and
  // `root` is its parent (token_root()).
  std::optional<uint64_t> parent;
  BlockHash root = 0;
  std::span<const uint64_t> engine_hashes;
  std::span<const uint64_t> contents;  // block_content() of each; as many
};

enum class StoreOutcome : uint8_t {
  kStored,
  kUnknownParent,  // nothing was stored: no holder has said where that block is
  kFull,           // some or all were not stored
};

// What one holder has of a prompt.
struct HolderMatch {
  HolderId holder{};
  uint32_t blocks = 0;  // leading ones without a gap, whatever their tier
  // Of them, how many are in no faster tier than that one; together `blocks`.
  std::array<uint32_t, kCacheTiers> by_tier{};

  bool operator==(const HolderMatch&) const = default;
};

class BlockIndex {
 public:
  virtual ~BlockIndex() = default;

  // --- Any thread ---

  // Replaces `matches` by all holders that have the first block of the prompt at least, each once,
  // in no order. The chain is made no further than a piece beyond the longest match.
  virtual void match(BlockChain& prompt, std::vector<HolderMatch>& matches) const = 0;
  // Blocks that some holder has (after clear() those of the cleared one may count until tidy() is
  // through); and counted once for each holder and tier that has them.
  virtual size_t distinct_blocks() const = 0;
  virtual size_t memberships() const = 0;
  virtual size_t memory_bytes() const = 0;

  // --- The writing thread ---

  // An empty one; nullopt: there are holders_max.
  virtual std::optional<HolderId> add_holder() = 0;
  // Its id may be given out again; what it had is gone as with clear().
  virtual void remove_holder(HolderId holder) = 0;

  virtual StoreOutcome store(const StoredBlocks& stored) = 0;
  // The same blocks are in another tier too, which does not say what is in them. Answers how many
  // of the engine hashes are of known blocks; the others are left out.
  virtual size_t attach(HolderId holder, CacheTier tier,
                        std::span<const uint64_t> engine_hashes) = 0;
  // Answers how many of them the holder had there.
  virtual size_t remove(HolderId holder, CacheTier tier,
                        std::span<const uint64_t> engine_hashes) = 0;
  // The holder has nothing any more, in any tier. No match sees it from now on; its memory is freed
  // by and by (tidy()).
  virtual void clear(HolderId holder) = 0;
  virtual size_t blocks_of(HolderId holder) const = 0;  // in any tier
  // How many of the engine hashes are of blocks that the holder has there.
  virtual size_t held(HolderId holder, CacheTier tier,
                      std::span<const uint64_t> engine_hashes) const = 0;

  // Does a bounded piece of what was put off (memory of cleared holders). False: nothing is left.
  virtual bool tidy() = 0;
  // Blocks that were stored last before `stored_before`, by whichever holder, are forgotten. What
  // is stored together counts as stored when the last of it was. Answers how many memberships went.
  virtual size_t expire(TimePoint stored_before) = 0;
  // Forgets those that were stored longest ago until so many distinct blocks are left.
  virtual void shrink(size_t distinct_blocks) = 0;
  // Of what is stored from now on.
  virtual void set_time(TimePoint now) = 0;

  // One block that one holder has in one tier under one name.
  struct KnownBlock {
    HolderId holder{};
    CacheTier tier{};
    uint32_t copies = 1;
    BlockHash parent = 0;  // the root for a first block
    BlockHash hash = 0;
    uint64_t engine_hash = 0;
    uint64_t common_name = 0;  // of the block; differs when the holder has a name of its own

    auto operator<=>(const KnownBlock&) const = default;
  };
  class Visitor {
   public:
    virtual ~Visitor() = default;
    virtual void on_block(const KnownBlock& block) = 0;
  };
  // Everything that is known, for a snapshot or another index.
  virtual void visit(Visitor& visitor) const = 0;
  // Takes in what visit() of another index said, in any order. Precondition: nothing else has been
  // stored. kUnknownParent: it contradicts what was restored before, and was left out.
  virtual StoreOutcome restore(const KnownBlock& block) = 0;
};

}  // namespace kvasir

// What a BlockIndex knows, as bytes in a file, for a warm start.
//
// A file of version 1, all numbers little-endian: "KVSNAP\0\1"; the number of holders as u32, then
// for each the length of its name as u16 and the name; groups of blocks; and the XXH3 of everything
// before as u64. A group is consecutive blocks that one holder has in one tier:
//
//   u32 holder, u8 tier, u8 what (1: own names follow, 2: copies follow, 4: the blocks are the
//   first ones of the last group that has blocks of its own), u16 0, u32 count without 4: u64 hash
//   of the block before the first, u64 hash of each, u64 common name of each with 1: u64 what the
//   holder calls each; with 2: u8 copies of each
//
// A file that is not whole and unchanged is refused; nothing of it is restored then.
#pragma once

#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/result.h"
#include "kvindex/block_index.h"

namespace kvasir {

// `name`: by which the holder is found again; at most 65,535 bytes.
struct SnapshotHolder {
  HolderId holder{};
  std::string name;
};

struct RestoredSnapshot {
  size_t holders = 0;   // that were found again
  size_t blocks = 0;    // of a holder in a tier
  size_t left_out = 0;  // others': of holders that were not found,
  size_t refused = 0;   // and of holders that were: for lack of memory, or at odds with others
};

// The holder of that name in the index; nullopt: its blocks are left out.
using FindHolder = std::function<std::optional<HolderId>(std::string_view name)>;

// Blocks of holders that are not named are left out. On the writing thread.
std::string index_snapshot(const BlockIndex& index, std::span<const SnapshotHolder> holders);
// Precondition: the index is empty, but for its holders.
Result<RestoredSnapshot> restore_snapshot(std::string_view bytes, BlockIndex& index,
                                          const FindHolder& find_holder);

// The file appears whole or not at all.
Result<void> write_index_snapshot(const std::string& path, const BlockIndex& index,
                                  std::span<const SnapshotHolder> holders);
Result<RestoredSnapshot> load_index_snapshot(const std::string& path, BlockIndex& index,
                                             const FindHolder& find_holder,
                                             size_t bytes_max = size_t{8} << 30);

}  // namespace kvasir

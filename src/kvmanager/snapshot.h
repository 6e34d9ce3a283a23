// What a KV-cache manager knows, as a file: kvasir kv dump, --snapshot and --load. All integers are
// little-endian.
//
//   "KVSNAP1\n"
//   u32 adapters; for each u16 bytes and its name
//   u32 sources; for each u16 bytes and its pod's name, u32 rank, u8 whether its position follows
//   is
//       known; u64 number, u64 hash, u8 complete (KvStreamPosition; zeros when unknown)
//   u32 holders; for each u32 source, u32 group, u32 tokens of a block
//   u64 bytes of the blocks, and they (kvindex/index_snapshot.h), which call each holder by its
//       place among these, in digits
//   u64 XXH3_64 of all bytes before
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "kvevents/source_tracker.h"

namespace kvasir {

struct KvSnapshot {
  struct Source {
    std::string pod;
    uint32_t rank = 0;
    // Without it nothing tells which of its events came since, and so its blocks are of no use.
    std::optional<KvStreamPosition> position;

    bool operator==(const Source&) const = default;
  };
  struct Holder {
    uint32_t source = 0;  // its place in `sources`
    uint32_t group = 0;
    uint32_t block_tokens = 0;

    bool operator==(const Holder&) const = default;
  };
  std::vector<std::string> adapters;
  std::vector<Source> sources;
  std::vector<Holder> holders;
  std::string blocks;  // index_snapshot()
};

std::string write_snapshot(const KvSnapshot& snapshot);
// The error says what is wrong with the file. Lengths that lie cost no memory.
Result<KvSnapshot> read_snapshot(std::string_view bytes);

}  // namespace kvasir

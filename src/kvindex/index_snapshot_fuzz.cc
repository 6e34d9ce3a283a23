// A snapshot whose checksum is made right whatever it says: it is refused, or restored without
// harm, and what was restored can be written and restored again.
#include <cstdint>
#include <cstring>
#include <string>

#include "base/assert.h"
#include "kvindex/chain_index.h"
#include "kvindex/index_snapshot.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace kvasir {
namespace {

constexpr uint32_t kFuzzHolders = 4;

BlockIndexOptions fuzz_options() {
  BlockIndexOptions options;
  options.memory_bytes_max = size_t{4} << 20;
  return options;
}

struct FuzzedIndex {
  FuzzedIndex() : index(fuzz_options()) {
    for (uint32_t i = 0; i < kFuzzHolders; ++i) index.add_holder();
  }
  Result<RestoredSnapshot> restore(std::string_view bytes) {
    uint32_t next = 0;
    return restore_snapshot(bytes, index, [&](std::string_view) -> std::optional<HolderId> {
      if (next == kFuzzHolders) return std::nullopt;
      return HolderId{next++};
    });
  }
  std::string snapshot() const {
    std::vector<SnapshotHolder> holders;
    for (uint32_t i = 0; i < kFuzzHolders; ++i) holders.push_back({HolderId{i}, "x"});
    return index_snapshot(index, holders);
  }
  ChainIndex index;
};

}  // namespace
}  // namespace kvasir

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using kvasir::FuzzedIndex;
  std::string bytes("KVSNAP\0\1", 8);
  bytes.append(reinterpret_cast<const char*>(data), size);
  const uint64_t checksum = XXH3_64bits(bytes.data(), bytes.size());
  bytes.append(reinterpret_cast<const char*>(&checksum), sizeof checksum);
  FuzzedIndex first;
  if (!first.restore(bytes)) return 0;
  FuzzedIndex second;
  KVASIR_ASSERT(second.restore(first.snapshot()).ok(), "what was written can be read");
  for (uint32_t i = 0; i < kvasir::kFuzzHolders; ++i) first.index.clear(kvasir::HolderId{i});
  while (first.index.tidy()) {
  }
  KVASIR_ASSERT(first.index.distinct_blocks() == 0, "nothing is left of nobody's");
  KVASIR_ASSERT(first.index.memberships() == 0, "nobody has anything");
  return 0;
}

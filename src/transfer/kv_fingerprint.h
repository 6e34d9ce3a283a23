// What two workers must agree on before one may use the other's KV blocks: the model, the shape of
// a block, and the version of what this program writes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "engine/kv_memory.h"

namespace kvasir {

inline constexpr int kKvBytesVersion =
    1;  // of what block bytes mean; a new one reads no older bytes

// `packed`: blocks are stored as transfer/packed_block.h says.
uint64_t kv_fingerprint(const std::string& model, const KvLayout& layout, bool packed = false);

// XXH3 of bytes that lie on a disk or travel: finds accidents, not attackers.
uint64_t kv_checksum(std::span<const std::byte> bytes);
uint64_t kv_checksum(std::string_view bytes);
// Of the pieces as if they lay one after another.
uint64_t kv_checksum(std::span<const std::span<const std::byte>> pieces);

// The same, of bytes that come piece by piece.
class KvChecksum {
 public:
  KvChecksum();
  ~KvChecksum();
  void add(std::span<const std::byte> piece);
  // Of all that was added. Begins anew.
  uint64_t take();

 private:
  struct State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir

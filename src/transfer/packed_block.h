// A block with each of its slices packed to int8 (transfer/int8_block.h), one after another.
#pragma once

#include <cstddef>
#include <span>

#include "engine/kv_memory.h"
#include "transfer/int8_block.h"

namespace kvasir {

inline size_t packed_block_bytes(const KvLayout& layout) {
  return layout.layers * int8_slice_bytes(layout.slice_bytes());
}

// What a block takes on the way.
inline size_t wire_block_bytes(const KvLayout& layout, bool packed) {
  return packed ? packed_block_bytes(layout) : layout.block_bytes();
}

inline void pack_block(const KvLayout& layout, std::span<const std::byte> block,
                       std::span<std::byte> packed) {
  const size_t slice = layout.slice_bytes(), part = int8_slice_bytes(slice);
  for (size_t i = 0; i < layout.layers; ++i) {
    pack_int8_slice(block.subspan(i * slice, slice), packed.subspan(i * part, part));
  }
}

// False: these are no packed values; a part of `block` may be written.
[[nodiscard]] inline bool unpack_block(const KvLayout& layout, std::span<const std::byte> packed,
                                       std::span<std::byte> block) {
  const size_t slice = layout.slice_bytes(), part = int8_slice_bytes(slice);
  for (size_t i = 0; i < layout.layers; ++i) {
    if (!unpack_int8_slice(packed.subspan(i * part, part), block.subspan(i * slice, slice))) {
      return false;
    }
  }
  return true;
}

}  // namespace kvasir

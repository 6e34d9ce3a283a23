// In which order the bytes of a read travel: unit by unit, a unit being a block or one layer of it.
// Prefiller and decoder make the same of the same read, each of its own blocks.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "engine/kv_memory.h"
#include "transfer/int8_block.h"
#include "wire/kv_transfer/nixl_data.h"

namespace kvasir {

class NixlUnits {
 public:
  NixlUnits() = default;
  NixlUnits(const KvLayout& layout, std::vector<uint32_t> blocks, NixlEncoding encoding,
            bool by_layers)
      : blocks_(std::move(blocks)),
        by_layers_(by_layers),
        packed_(encoding == NixlEncoding::kInt8),
        parts_(by_layers || packed_ ? layout.layers : 1),
        bytes_(layout.block_bytes() / parts_) {}

  const std::vector<uint32_t>& blocks() const { return blocks_; }
  size_t count() const { return blocks_.size() * parts_; }
  size_t bytes() const { return bytes_; }  // of a unit, in memory
  bool packed() const { return packed_; }
  size_t wire_bytes() const { return packed_ ? int8_slice_bytes(bytes_) : bytes_; }

  // Precondition: unit < count().
  template <class Memory>
  auto at(Memory& memory, size_t unit) const {
    const size_t block = by_layers_ ? unit % blocks_.size() : unit / parts_;
    const size_t part = by_layers_ ? unit / blocks_.size() : unit % parts_;
    return memory.block(blocks_[block]).subspan(part * bytes_, bytes_);
  }

  // How many leading blocks are whole when so many leading units are there.
  size_t whole_blocks(size_t units) const {
    if (by_layers_) return units == count() ? blocks_.size() : 0;
    return units / parts_;
  }
  // By layers: so many units are the first one.
  size_t first_layer() const { return by_layers_ ? blocks_.size() : count(); }

 private:
  std::vector<uint32_t> blocks_;
  bool by_layers_ = false;
  bool packed_ = false;
  size_t parts_ = 1;
  size_t bytes_ = 0;
};

}  // namespace kvasir

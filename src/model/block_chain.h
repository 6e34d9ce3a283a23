// The chain of one prompt's block hashes, made only as far as somebody looks.
#pragma once

#include <cstddef>
#include <span>

#include "model/block_hash.h"

namespace kvasir {

class BlockChain {
 public:
  virtual ~BlockChain() = default;

  // Full blocks of the prompt.
  virtual size_t blocks() const = 0;
  // The hashes of the first `count` blocks, or of all when there are fewer; perhaps of some more.
  // What is missing is computed; what was there stays where it is.
  virtual std::span<const BlockHash> at_least(size_t count) = 0;
};

// One whose hashes are there already, and stay as long as it lives.
class KnownChain final : public BlockChain {
 public:
  explicit KnownChain(std::span<const BlockHash> hashes) : hashes_(hashes) {}
  size_t blocks() const override { return hashes_.size(); }
  std::span<const BlockHash> at_least(size_t) override { return hashes_; }

 private:
  std::span<const BlockHash> hashes_;
};

}  // namespace kvasir

// Where blocks of prompts lie that outlive a request and that several workers see: a folder, a
// Redis. It knows no requests and no engine: StoreConnector does, and calls it on one thread that
// may wait.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/result.h"
#include "model/block_hash.h"

namespace kvasir {

struct StoredPrompt {
  std::vector<uint32_t> tokens;
  std::vector<BlockHash> blocks;  // of its full blocks
};

struct FoundBlocks {
  uint32_t blocks = 0;  // leading ones of the prompt
  bool nothing_to_save = false;
  std::string problem;  // what is there, and must not be used
};

struct LoadedBlocks {
  uint32_t blocks = 0;  // leading ones of those asked for: there and whole
  std::string problem;  // why not all
};

class BlockStore {
 public:
  virtual ~BlockStore() = default;

  // Whether it can be used now. A folder that cannot is refused when its connector is made.
  virtual Result<void> usable() { return {}; }

  virtual FoundBlocks find(const StoredPrompt& prompt) = 0;
  // Prompt blocks from `first` on, `count` of them, one after another `into` room for so many. What
  // find() saw may be gone.
  virtual LoadedBlocks load(const StoredPrompt& prompt, uint32_t first, uint32_t count,
                            std::span<std::byte> into) = 0;
  // `bytes`: all blocks of the prompt. Once it returns whoever looks finds them, as long as the
  // store keeps them.
  virtual Result<void> save(const StoredPrompt& prompt, std::span<const std::byte> bytes) = 0;
};

}  // namespace kvasir

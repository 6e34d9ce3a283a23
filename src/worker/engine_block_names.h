// The names that a real vLLM would give to the blocks of the engine here, which names them by
// BlockHashes of its own: for those who compute such names themselves (--prefix-caching-hash-algo).
//
// Remembers each block that some tier holds, as often as it is held. Not thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <unordered_map>
#include <vector>

#include "hashing/engine_hashes.h"
#include "wire/kv_events/kv_event.h"

namespace kvasir {

class EngineBlockNames {
 public:
  // `options`: but for adapter and salt, which each event has. `adapter_paths`: by name.
  EngineBlockNames(EngineHashOptions options, std::map<std::string, std::string> adapter_paths)
      : options_(std::move(options)), adapter_paths_(std::move(adapter_paths)) {}

  // The same event with vLLM's names; valid until the next call. Every event of the engine has to
  // go through here, in order.
  KvBlocksStored stored(const KvBlocksStored& event);
  KvBlocksRemoved removed(const KvBlocksRemoved& event);
  void cleared() { blocks_.clear(); }

  size_t size() const { return blocks_.size(); }

 private:
  struct Block {
    uint64_t name = 0;
    uint32_t held = 0;   // times
    std::string digest;  // of which the next block's name is made
  };

  void name_blocks(const KvBlocksStored& event);

  const EngineHashOptions options_;
  const std::map<std::string, std::string> adapter_paths_;
  std::unordered_map<uint64_t, Block> blocks_;  // by the engine's own hash
  std::vector<uint64_t> names_;
};

}  // namespace kvasir

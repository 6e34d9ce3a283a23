#include "worker/engine_block_names.h"

#include "base/assert.h"

namespace kvasir {

KvBlocksStored EngineBlockNames::stored(const KvBlocksStored& event) {
  names_.clear();
  if (event.token_ids.empty()) {
    for (const uint64_t hash : event.block_hashes) {
      const auto known = blocks_.find(hash);
      KVASIR_ASSERT(known != blocks_.end(), "a block moves while it is held");
      ++known->second.held;
      names_.push_back(known->second.name);
    }
  } else {
    name_blocks(event);
  }
  KvBlocksStored named = event;
  named.block_hashes = names_;
  if (event.parent_block_hash) named.parent_block_hash = blocks_.at(*event.parent_block_hash).name;
  return named;
}

// A block that is held already has its name: the same tokens come after the same blocks.
void EngineBlockNames::name_blocks(const KvBlocksStored& event) {
  EngineHashOptions options = options_;
  options.lora_name = event.lora_name;
  const auto path = adapter_paths_.find(options.lora_name);
  if (path != adapter_paths_.end()) options.lora_path = path->second;
  options.cache_salt = event.cache_salt;
  EngineHashes hashes(options);
  if (event.parent_block_hash) {
    const auto parent = blocks_.find(*event.parent_block_hash);
    KVASIR_ASSERT(parent != blocks_.end(), "a sequence holds the block before its new ones");
    hashes.continue_after(parent->second.digest);
  }
  for (size_t i = 0; i < event.block_hashes.size(); ++i) {
    Block& block = blocks_[event.block_hashes[i]];
    if (block.held++ == 0) {
      block.name = hashes.next(event.token_ids.subspan(i * event.block_size, event.block_size));
      block.digest = hashes.parent();
    } else {
      hashes.continue_after(block.digest);
    }
    names_.push_back(block.name);
  }
}

KvBlocksRemoved EngineBlockNames::removed(const KvBlocksRemoved& event) {
  names_.clear();
  for (const uint64_t hash : event.block_hashes) {
    const auto known = blocks_.find(hash);
    KVASIR_ASSERT(known != blocks_.end(), "only what is held is removed");
    names_.push_back(known->second.name);
    if (--known->second.held == 0) blocks_.erase(known);
  }
  KvBlocksRemoved named = event;
  named.block_hashes = names_;
  return named;
}

}  // namespace kvasir

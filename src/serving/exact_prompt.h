// A prompt whose tokens are known, for those who know what engines hold: its chains of block
// hashes, made as far as somebody looks, and what each endpoint holds of it.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "hashing/token_blocks.h"
#include "model/block_hash.h"
#include "model/endpoint.h"
#include "model/prompt_chains.h"

namespace kvasir {

class ExactCaches;
struct Snapshot;

class ExactPrompt {
 public:
  // One chain for each of the block sizes. `root`: of all (ExactCaches::root()).
  ExactPrompt(std::shared_ptr<const std::vector<uint32_t>> tokens, BlockHash root,
              std::span<const uint32_t> block_sizes);
  ExactPrompt(const ExactPrompt&) = delete;
  ExactPrompt& operator=(const ExactPrompt&) = delete;

  PromptChains chains() const { return chains_; }
  // By EndpointId, of all endpoints of the fleet. Valid until the next call. Takes no lock of ours:
  // the hashing that it needs is done here.
  std::span<const CachedPrefix> match(const ExactCaches& caches, const Snapshot& fleet);

 private:
  const std::shared_ptr<const std::vector<uint32_t>> tokens_;
  std::vector<std::unique_ptr<TokenChain>> owned_;
  std::vector<ChainOfSize> chains_;
  std::vector<EndpointId> endpoints_;  // scratch of match()
  std::vector<CachedPrefix> cached_;
};

}  // namespace kvasir

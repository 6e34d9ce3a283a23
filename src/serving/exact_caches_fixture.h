// For tests: an ExactCaches that is told what endpoints hold.
#pragma once

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <utility>
#include <vector>

#include "hashing/token_blocks.h"
#include "kvindex/exact_caches.h"

namespace kvasir {

class FakeExactCaches final : public ExactCaches {
 public:
  struct Expected {
    EndpointId endpoint{};
    size_t blocks = 0;
    TimePoint until{};
  };

  // The endpoint's engine has blocks of that size, and says what it holds.
  void know(EndpointId endpoint, uint32_t block_tokens) {
    holders_[endpoint].block_tokens = block_tokens;
    ++version_;
  }
  void forget(EndpointId endpoint) {
    holders_.erase(endpoint);
    ++version_;
  }
  // It holds the full blocks of these tokens; of the first `gpu_tokens` in its GPU.
  void hold(EndpointId endpoint, const std::vector<uint32_t>& tokens,
            std::optional<size_t> gpu_tokens = std::nullopt, std::string_view model = {}) {
    Holder& holder = holders_.at(endpoint);
    const uint32_t size = holder.block_tokens;
    TokenChain chain(tokens, root(model, ""), size);
    const std::span<const BlockHash> hashes = chain.at_least(chain.blocks());
    for (size_t i = 0; i < hashes.size(); ++i) {
      holder.blocks[hashes[i]] = (i + 1) * size <= gpu_tokens.value_or(tokens.size());
    }
  }

  std::vector<uint32_t> block_sizes() const override {
    std::set<uint32_t> sizes;
    for (const auto& [id, holder] : holders_) sizes.insert(holder.block_tokens);
    return {sizes.begin(), sizes.end()};
  }
  uint64_t version() const override { return version_; }
  BlockHash root(std::string_view model, std::string_view cache_salt) const override {
    return token_root(model == "adapter" ? model : std::string_view(), cache_salt);
  }

  void match(PromptChains prompt, std::span<const EndpointId> endpoints,
             std::span<CachedPrefix> cached) const override {
    ++matches;
    for (const EndpointId id : endpoints) {
      const auto holder = holders_.find(id);
      if (holder != holders_.end()) cached[index_of(id)] = match_of(holder->second, prompt);
    }
  }
  void expect(PromptChains prompt, EndpointId endpoint, TimePoint now, Duration lifetime) override {
    expected.push_back({endpoint, prompt[0].chain->blocks(), now + lifetime});
  }

  mutable size_t matches = 0;
  std::vector<Expected> expected;

 private:
  struct Holder {
    uint32_t block_tokens = 0;
    std::map<BlockHash, bool> blocks;  // whether it is in the GPU
  };

  static CachedPrefix match_of(const Holder& holder, PromptChains prompt) {
    CachedPrefix result{true, 0, 0, holder.block_tokens};
    bool gpu = true;
    for (const ChainOfSize& chain : prompt) {
      if (chain.block_tokens != holder.block_tokens) continue;
      for (const BlockHash hash : chain.chain->at_least(chain.chain->blocks())) {
        const auto block = holder.blocks.find(hash);
        if (block == holder.blocks.end()) break;
        gpu = gpu && block->second;
        result.tokens += holder.block_tokens;
        if (gpu) result.gpu_tokens += holder.block_tokens;
      }
    }
    return result;
  }

  std::map<EndpointId, Holder> holders_;
  uint64_t version_ = 0;
};

}  // namespace kvasir

#include "exact_prefix_cache.h"

#include "model/plugin_place.h"
#include "tokens/vocabulary.h"

namespace kvasir {
namespace {

// Simulated prompts are token ids as they stand in memory.
BlockSize size_of(uint32_t block_tokens) {
  return {PromptUnit::kBytes, block_tokens * static_cast<uint32_t>(sizeof(TokenId))};
}

class ExactPrefixCache final : public PrefixMatches {
 public:
  ExactPrefixCache(uint32_t block_tokens, CachedBlocks cached_blocks, size_t endpoints)
      : cached_blocks_(std::move(cached_blocks)),
        matched_(endpoints),
        match_{matched_, 0, size_of(block_tokens), block_tokens} {}

  void produce(const Cycle& cycle) override {
    match_.total_blocks = cycle.request.prompt_tokens / match_.block_tokens;
    for (const EndpointId id : cycle.candidates) {
      matched_[index_of(id)] = static_cast<uint32_t>(cached_blocks_(cycle.request.id, id));
    }
  }
  const PrefixMatch& match() const override { return match_; }

 private:
  const CachedBlocks cached_blocks_;
  std::vector<uint32_t> matched_;
  PrefixMatch match_;
};

}  // namespace

PluginType exact_prefix_cache_plugin(uint32_t block_tokens, CachedBlocks cached_blocks) {
  PluginType type;
  type.name = "exact-prefix-cache-producer";
  type.make = [block_tokens, cached_blocks = std::move(cached_blocks)](
                  std::string_view, const Value&, PluginContext& context) -> MadePlugin {
    context.want_prompt_view(size_of(block_tokens));
    return make_plugin<ExactPrefixCache>(block_tokens, cached_blocks, context.endpoints());
  };
  type.places = kProducerPlace;
  type.offers = {PrefixMatches::kKind};
  return type;
}

}  // namespace kvasir

#include "serving/exact_prompt.h"

#include <utility>

#include "fleet/fleet.h"
#include "kvindex/exact_caches.h"

namespace kvasir {

ExactPrompt::ExactPrompt(std::shared_ptr<const std::vector<uint32_t>> tokens, BlockHash root,
                         std::span<const uint32_t> block_sizes)
    : tokens_(std::move(tokens)) {
  for (const uint32_t size : block_sizes) {
    owned_.push_back(std::make_unique<TokenChain>(*tokens_, root, size));
    chains_.push_back({size, owned_.back().get()});
  }
}

std::span<const CachedPrefix> ExactPrompt::match(const ExactCaches& caches, const Snapshot& fleet) {
  endpoints_.clear();
  for (uint32_t i = 0; i < fleet.endpoints.size(); ++i) {
    if (fleet.endpoints[i].present) endpoints_.push_back(EndpointId(i));
  }
  cached_.assign(fleet.endpoints.size(), {});
  caches.match(chains_, endpoints_, cached_);
  return cached_;
}

}  // namespace kvasir

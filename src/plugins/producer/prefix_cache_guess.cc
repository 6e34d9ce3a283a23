#include "plugins/producer/prefix_cache_guess.h"

#include <algorithm>

#include "fleet/fleet.h"

namespace kvasir {
namespace {

constexpr uint32_t kBytesPerToken = 4;

bool all_are_known(const Cycle& cycle) {
  return !cycle.request.cached.empty() &&
         std::all_of(cycle.candidates.begin(), cycle.candidates.end(),
                     [&](EndpointId id) { return cycle.request.known_prefix(id) != nullptr; });
}

}  // namespace

PrefixCacheGuess::PrefixCacheGuess(PrefixCacheGuessSettings settings, PluginContext& context)
    : settings_(settings),
      index_(context.prefix_index({PromptUnit::kBytes, settings.block_tokens * kBytesPerToken})),
      matched_(index_.endpoints()) {
  match_.blocks = matched_;
  match_.block = index_.block();
  match_.block_tokens = settings.block_tokens;
}

void PrefixCacheGuess::produce(const Cycle& cycle) {
  const PromptView prompt = head_of(cycle.request);
  match_.total_blocks = static_cast<uint32_t>(prompt.hashes.size());
  match_.exact = cycle.request.cached;
  std::fill(matched_.begin(), matched_.end(), 0);
  if (!all_are_known(cycle)) index_->match(prompt, cycle.candidates, matched_);
}

// What is known exactly is remembered, too: an engine's events may fail to come from now on.
void PrefixCacheGuess::picked(const Cycle& cycle, std::span<const ProfileResult> profiles) {
  for (const ProfileResult& profile : profiles) {
    const EndpointId endpoint = profile.chosen[0].endpoint;
    index_->set_capacity(endpoint, capacity_of(endpoint, cycle.fleet));
    index_->insert(endpoint, head_of(cycle.request));
  }
}

void PrefixCacheGuess::add_readings(std::vector<PluginReading>& readings) const {
  readings.push_back({"prefix_indexer_size", static_cast<double>(index_->size())});
}

void PrefixCacheGuess::endpoint_replaced(EndpointId endpoint) {
  index_->forget(endpoint);
}

PromptView PrefixCacheGuess::head_of(const Request& request) const {
  return request.view(index_.block()).head(settings_.prefix_blocks_max);
}

size_t PrefixCacheGuess::capacity_of(EndpointId endpoint, const Snapshot& fleet) const {
  if (!settings_.auto_tune) return settings_.capacity_blocks;
  const uint64_t tokens =
      fleet.endpoints[index_of(endpoint)].kv_capacity_tokens.value_or(settings_.assumed_tokens);
  return tokens > 0 ? tokens / settings_.block_tokens : settings_.capacity_blocks;
}

}  // namespace kvasir

#include "plugins/producer/approx_prefix_cache_producer.h"

#include <algorithm>

#include "base/parameters.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

constexpr uint32_t kBlockTokensLeast = 64;
constexpr uint32_t kBytesPerToken = 4;

struct ApproxPrefixCacheProducerSettings {
  bool auto_tune = true;
  uint32_t block_tokens = kBlockTokensLeast;
  size_t capacity_blocks = 31'250;
  size_t prefix_blocks_max = 0;
  uint64_t assumed_tokens = 0;  // of an endpoint that does not report its cache; 0: not known
};

class ApproxPrefixCacheProducer final : public PrefixMatches {
 public:
  // The index is shared: whoever has the same block size sees what was sent, too.
  ApproxPrefixCacheProducer(ApproxPrefixCacheProducerSettings settings,
                            const SharedPrefixIndex& index)
      : settings_(settings),
        index_(index),
        matched_(index.endpoints()),
        match_{matched_, 0, index.block(), settings.block_tokens} {}

  const PrefixMatch& match() const override { return match_; }

  void produce(const Cycle& cycle) override {
    const PromptView prompt = head_of(cycle.request);
    match_.total_blocks = static_cast<uint32_t>(prompt.hashes.size());
    std::fill(matched_.begin(), matched_.end(), 0);
    index_->match(prompt, cycle.candidates, matched_);
  }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    for (const ProfileResult& profile : profiles) {
      const EndpointId endpoint = profile.chosen[0].endpoint;
      index_->set_capacity(endpoint, capacity_of(endpoint, cycle.fleet));
      index_->insert(endpoint, head_of(cycle.request));
    }
  }

  void add_readings(std::vector<PluginReading>& readings) const override {
    readings.push_back({"prefix_indexer_size", static_cast<double>(index_->size())});
  }

  void endpoint_replaced(EndpointId endpoint) override { index_->forget(endpoint); }

 private:
  PromptView head_of(const Request& request) const {
    return request.view(index_.block()).head(settings_.prefix_blocks_max);
  }

  size_t capacity_of(EndpointId endpoint, const Snapshot& fleet) const {
    if (!settings_.auto_tune) return settings_.capacity_blocks;
    const uint64_t tokens = fleet.endpoints[index_of(endpoint)].kv_capacity_tokens.value_or(
        settings_.assumed_tokens);
    return tokens > 0 ? tokens / settings_.block_tokens : settings_.capacity_blocks;
  }

  const ApproxPrefixCacheProducerSettings settings_;
  const SharedPrefixIndex& index_;
  std::vector<uint32_t> matched_;
  PrefixMatch match_;
};

MadePlugin make_approx_prefix_cache_producer(std::string_view name, const Value& value,
                                             PluginContext& context) {
  Parameters parameters(value, name);
  ApproxPrefixCacheProducerSettings settings;
  settings.auto_tune = parameters.boolean("autoTune", true);
  const int64_t old_name = parameters.integer("blockSize", 16, 0, 65'536);
  const int64_t block_tokens =
      parameters.integer("blockSizeTokens", std::max<int64_t>(old_name, 1), 1, 65'536);
  settings.block_tokens = std::max(kBlockTokensLeast, static_cast<uint32_t>(block_tokens));
  settings.capacity_blocks =
      static_cast<size_t>(parameters.integer("lruCapacityPerServer", 31'250, 1, 100'000'000));
  const int64_t tokens = parameters.integer("maxPrefixTokensToMatch", 131'072, 0);
  const int64_t blocks = parameters.integer("maxPrefixBlocksToMatch", 2048, 0);
  const bool by_blocks =
      parameters.has("maxPrefixBlocksToMatch") && !parameters.has("maxPrefixTokensToMatch");
  settings.prefix_blocks_max =
      static_cast<size_t>(by_blocks ? blocks : tokens / settings.block_tokens);
  if (parameters.boolean("capacityOfEngineProfile", false)) {
    settings.assumed_tokens = context.profile().kv_tokens;
  }
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<ApproxPrefixCacheProducer>(
      settings, context.prefix_index({PromptUnit::kBytes, settings.block_tokens * kBytesPerToken}));
}

}  // namespace

PluginType approx_prefix_cache_producer_plugin() {
  return {"approx-prefix-cache-producer",
          make_approx_prefix_cache_producer,
          Stability::kStable,
          {},
          {PrefixMatches::kKind}};
}

}  // namespace kvasir

#include "plugins/producer/approx_prefix_cache_producer.h"

#include <algorithm>

#include "base/parameters.h"
#include "plugins/producer/prefix_cache_guess.h"

namespace kvasir {
namespace {

class ApproxPrefixCacheProducer final : public PrefixMatches {
 public:
  ApproxPrefixCacheProducer(PrefixCacheGuessSettings settings, PluginContext& context)
      : guess_(settings, context) {}

  const PrefixMatch& match() const override { return guess_.match(); }
  void produce(const Cycle& cycle) override { guess_.produce(cycle); }
  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    guess_.picked(cycle, profiles);
  }
  void add_readings(std::vector<PluginReading>& readings) const override {
    guess_.add_readings(readings);
  }
  void endpoint_replaced(EndpointId endpoint) override { guess_.endpoint_replaced(endpoint); }

 private:
  PrefixCacheGuess guess_;
};

MadePlugin make_approx_prefix_cache_producer(std::string_view name, const Value& value,
                                             PluginContext& context) {
  Parameters parameters(value, name);
  PrefixCacheGuessSettings settings;
  settings.auto_tune = parameters.boolean("autoTune", true);
  const int64_t old_name = parameters.integer("blockSize", 16, 0, 65'536);
  const int64_t block_tokens =
      parameters.integer("blockSizeTokens", std::max<int64_t>(old_name, 1), 1, 65'536);
  settings.block_tokens = std::max(settings.kBlockTokensLeast, static_cast<uint32_t>(block_tokens));
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
  return make_plugin<ApproxPrefixCacheProducer>(settings, context);
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

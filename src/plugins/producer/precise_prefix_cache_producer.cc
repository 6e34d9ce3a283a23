#include "plugins/producer/precise_prefix_cache_producer.h"

#include <utility>

#include "plugins/producer/precise_matches.h"

namespace kvasir {
namespace {

MadePlugin make_precise_prefix_cache_producer(std::string_view name, const Value& value,
                                              PluginContext& context) {
  Checked<PreciseSettings> settings = read_precise_settings(name, value, false, context);
  if (!settings) return settings.problems();
  return make_plugin<PrecisePrefixCacheProducer>(std::move(*settings), context);
}

}  // namespace

PluginType precise_prefix_cache_producer_plugin() {
  return {"precise-prefix-cache-producer",
          make_precise_prefix_cache_producer,
          Stability::kStable,
          {},
          {PrefixMatches::kKind, PrecisePrefixMatches::kKind}};
}

}  // namespace kvasir

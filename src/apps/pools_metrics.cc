#include "apps/pools_metrics.h"

#include "gateway/gateway.h"

namespace kvasir {

GatewayMetrics& PoolsMetrics::of(const ObjectKey& pool, const std::string& policy) {
  return *pools_.with([&](auto& pools) {
    std::unique_ptr<GatewayMetrics>& metrics = pools[pool];
    if (metrics == nullptr) metrics = std::make_unique<GatewayMetrics>(first_, policy, pool);
    return metrics.get();
  });
}

void PoolsMetrics::note(const Gateway& gateway, MetricRegistry& page) const {
  gateway.for_each_pool([&](const ObjectKey& name, Pool& pool) {
    const PoolStats stats = pool.stats();
    pools_.with([&](const auto& pools) { pools.at(name)->note_flow(stats.flow); });
    MetricRegistry of_pool(&page, GatewayMetrics::pool_labels(name));
    if (stats.kv) add_kv_series(of_pool, *stats.kv);
  });
}

}  // namespace kvasir

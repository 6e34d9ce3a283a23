// What keys and limits cost one request: the key's hash and its look-up; what is taken of the
// limits and given back, by one thread and by several that share a tenant.
#include <benchmark/benchmark.h>

#include "tenants/tenant_lease.h"
#include "tenants/tenant_table.h"

namespace kvasir {
namespace {

std::shared_ptr<const TenantTable> bench_table() {
  static const auto table = [] {
    std::vector<TenantEntry> entries;
    for (int i = 0; i < 1000; ++i) {
      TenantEntry entry;
      entry.tenant.name = std::to_string(i);
      entry.tenant.limits = {1'000'000'000, 1'000'000'000'000, 1'000'000};
      entry.keys.push_back({KeyHasher().digest("sk-kvasir-of-forty-three-letters-more-or-less-" +
                                               std::to_string(i))});
      entries.push_back(std::move(entry));
    }
    return std::make_shared<const TenantTable>(std::move(entries), nullptr);
  }();
  return table;
}

void FindKey(benchmark::State& state) {
  TenantLookup lookup(bench_table());
  const std::string key = "sk-kvasir-of-forty-three-letters-more-or-less-7";
  for (auto _ : state) benchmark::DoNotOptimize(lookup.find(key, {}));
}
BENCHMARK(FindKey);

void TakeAndEnd(benchmark::State& state) {
  const std::shared_ptr<const Tenant> tenant = bench_table()->tenants()[0];
  const SteadyClock clock;
  for (auto _ : state) {
    auto lease = TenantLease::take(tenant, 1000, clock.now());
    if (auto* taken = std::get_if<TenantLease>(&lease)) taken->end(900, clock.now());
  }
}
BENCHMARK(TakeAndEnd)->Threads(1)->Threads(4);

void LimitFields(benchmark::State& state) {
  const std::shared_ptr<const Tenant> tenant = bench_table()->tenants()[0];
  for (auto _ : state) {
    std::string fields;
    append_limit_fields(*tenant, TimePoint(), fields);
    benchmark::DoNotOptimize(fields);
  }
}
BENCHMARK(LimitFields);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();

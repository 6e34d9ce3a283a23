#include "apps/route_pools.h"

#include <set>
#include <utility>

#include "apps/kube_flags.h"
#include "apps/pools_metrics.h"
#include "base/whole_file.h"
#include "cluster/pool_discovery.h"
#include "gateway/gateway.h"
#include "telemetry/log.h"
#include "wire/kube/kube_names.h"
#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

// Without the gateway's own.
std::set<ObjectKey> named_pools(const EffectiveRoutes& routes, const GatewayOptions& options) {
  std::set<ObjectKey> named;
  const ObjectKey& own = options.routed_pool;
  for (const RouteTarget& target : routes.targets) {
    if (target.kind != RouteTarget::Kind::kPool) continue;
    const bool is_own =
        options.has_workers && (own.name.empty() || own == target.object);
    if (!is_own) named.insert(target.object);
  }
  return named;
}

}  // namespace

Result<PoolConfigFiles> read_pool_configs(const std::vector<std::string>& texts) {
  PoolConfigFiles files;
  for (const std::string& text : texts) {
    const size_t slash = text.find('/');
    const size_t equals = text.find('=');
    const bool whole = slash != std::string::npos && equals != std::string::npos &&
                       slash < equals && equals + 1 < text.size();
    const ObjectKey pool = whole ? ObjectKey{text.substr(0, slash),
                                             text.substr(slash + 1, equals - slash - 1)}
                                 : ObjectKey{};
    if (!is_dns_label(pool.name_space) || !is_dns_subdomain(pool.name)) {
      return Error{"--pool-config: '" + text +
                   "' is not NAMESPACE/NAME=FILE, as in default/vllm=picker.yaml"};
    }
    if (!files.emplace(pool, text.substr(equals + 1)).second) {
      return Error{"--pool-config: " + to_string(pool) + " is named twice"};
    }
  }
  return files;
}

RoutePools::RoutePools(ObjectStore& store, Gateway& gateway, PoolsMetrics& metrics,
                       PoolConfigFiles configs, std::function<bool()> ready)
    : store_(store),
      gateway_(gateway),
      metrics_(metrics),
      configs_(std::move(configs)),
      ready_(std::move(ready)) {}

RoutePools::~RoutePools() = default;

std::vector<Error> RoutePools::add_named(const EffectiveRoutes& routes) {
  std::vector<Error> problems;
  for (const ObjectKey& pool : named_pools(routes, gateway_.options())) {
    const PoolSelection selection = selection_of(pool);
    const auto known = served_.find(pool);
    if (known != served_.end()) {
      if (known->second.group == selection.pool_group) continue;
      remove(pool);  // another object has its name now
    }
    if (Result<void> added = add(selection); !added) {
      problems.push_back({selection.to_string() + " is not served: " + added.error().message});
    }
  }
  return problems;
}

void RoutePools::remove_unnamed(const EffectiveRoutes& routes) {
  const std::set<ObjectKey> named = named_pools(routes, gateway_.options());
  std::vector<ObjectKey> gone;
  for (const auto& [pool, served] : served_) {
    if (named.count(pool) == 0) gone.push_back(pool);
  }
  for (const ObjectKey& pool : gone) {
    log_info("routes: no rule names InferencePool " + to_string(pool) +
             " any more: it goes when its requests are over");
    remove(pool);
  }
}

PoolSelection RoutePools::selection_of(const ObjectKey& pool) const {
  PoolSelection selection;
  selection.pool_name = pool.name;
  selection.pool_namespace = pool.name_space;
  const auto object = store_.get<InferencePool>(pool.name_space, pool.name);
  if (object != nullptr) selection.pool_group = object->type->group;
  return selection;
}

// As the gateway's own, but for where the endpoints come from and a configuration of its own.
Result<PoolOptions> RoutePools::options_of(const PoolSelection& selection) const {
  PoolOptions options = gateway_.options().pool;
  options.endpoints_from_config = false;
  const auto config = configs_.find({selection.pool_namespace, selection.pool_name});
  if (config != configs_.end()) {
    Result<std::string> text = read_whole_file(config->second, PoolOptions::kConfigBytesMax);
    if (!text) return Error{"--pool-config: " + text.error().message};
    options.policy.clear();
    options.preset.hold = false;
    options.config = std::move(*text);
    options.config_name = options.config_file = config->second;
  }
  FleetFeedsOptions& feeds = options.feeds;
  feeds.endpoints.clear();
  feeds.endpoints_file.clear();
  feeds.dns.reset();
  PoolDiscoveryOptions discovery;
  discovery.selection = selection;
  if (config_reads_nodes(options.config)) discovery.node_labels = topology_labels();
  feeds.discover = [&store = store_, discovery, ready = ready_](Executor& executor,
                                                                DiscoveryListener& listener) {
    return discover_pool(executor, store, discovery, ready, listener);
  };
  return options;
}

Result<void> RoutePools::add(const PoolSelection& selection) {
  if (served_.size() >= kPoolsMost) {
    return Error{"there are " + std::to_string(kPoolsMost) + " pools already"};
  }
  Result<PoolOptions> options = options_of(selection);
  if (!options) return options.error();
  const std::string policy = options->policy.empty() ? "config" : options->policy;
  const ObjectKey name{selection.pool_namespace, selection.pool_name};
  const Result<Pool*> added =
      gateway_.add_pool(name, std::move(*options), metrics_.of(name, policy));
  if (!added) return added.error();
  Pool& pool = **added;
  for (const std::string& note : pool.config().notes) log_info(note);
  Served& served = served_[name];
  served.group = selection.pool_group;
  served.objects = std::make_unique<PoolObjects>(
      store_, selection,
      PoolObjects::Listener{[&pool](std::shared_ptr<const PoolObjects::Priorities> priorities) {
                              pool.set_objectives(std::move(priorities));
                            },
                            [&pool](std::shared_ptr<const ModelRewriteTable> rewrites) {
                              pool.set_rewrites(std::move(rewrites));
                            }});
  log_info("routes: InferencePool " + to_string(name) + " is served, policy " + policy);
  return {};
}

void RoutePools::remove(const ObjectKey& pool) {
  served_.erase(pool);
  gateway_.remove_pool(pool);
}

}  // namespace kvasir

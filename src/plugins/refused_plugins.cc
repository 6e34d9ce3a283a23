#include "plugins/refused_plugins.h"

namespace kvasir {
namespace {

constexpr const char* kLatencyModel =
    "needs a trained latency model and the servers that run it, which are not built";
constexpr const char* kCel = "needs an engine for CEL expressions, which is not built";
constexpr const char* kImages = "needs the images of a request, which are not read yet";
constexpr const char* kAlphaOnly = "is experimental upstream and not built";
constexpr const char* kClusters =
    "is experimental upstream and not built: it picks among clusters, not endpoints";
constexpr const char* kRollout =
    "is experimental upstream and not built: it needs the DisaggregatedSets of Kubernetes";

constexpr RefusedPlugin kRefused[] = {
    {"latency-scorer", kLatencyModel},
    {"slo-headroom-tier-filter", kLatencyModel},
    {"predicted-latency-producer", kLatencyModel},
    {"latency-slo-admitter", kLatencyModel},
    {"request-attribute-reporter", kCel},
    {"mm-embeddings-cache-scorer", kImages},
    {"mm-embeddings-cache-producer", kImages},
    {"burst-prefix-cache-producer", kAlphaOnly},
    {"p2p-source-producer", kAlphaOnly},
    {"multicluster-queue-scorer", kClusters},
    {"multicluster-kv-cache-utilization-scorer", kClusters},
    {"multicluster-prefix-cache-scorer", kClusters},
    {"multicluster-session-affinity-filter", kClusters},
    {"multicluster-approx-prefix-cache-producer", kClusters},
    {"multicluster-metrics-data-source", kClusters},
    {"multicluster-metrics-extractor", kClusters},
    {"multicluster-file-discovery", kClusters},
    {"agent-identity", kAlphaOnly},
    {"disaggregatedset-rollout-screener", kRollout},
    {"disaggregatedset-rollout-pod-extractor", kRollout},
};

}  // namespace

std::span<const RefusedPlugin> refused_plugins() {
  return kRefused;
}

void register_refused_plugins(Registry& registry) {
  for (const RefusedPlugin& refused : kRefused) {
    const auto make = [refused](std::string_view name, const Value&, PluginContext&) -> MadePlugin {
      return Error{std::string(name) + ": " + refused.type + " " + refused.reason};
    };
    registry.add({refused.type, make});  // its parameters are not looked at
  }
}

}  // namespace kvasir

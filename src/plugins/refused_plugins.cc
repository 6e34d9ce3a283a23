#include "plugins/refused_plugins.h"

namespace kvasir {
namespace {

constexpr const char* kLatencyModel =
    "needs a trained latency model and the servers that run it, which are not built";
constexpr const char* kCel = "needs an engine for CEL expressions, which is not built";
constexpr const char* kImages = "needs the images of a request, which are not read yet";
constexpr const char* kAlphaOnly = "is experimental upstream and not built";
constexpr const char* kNoFormula =
    "is experimental upstream, without a published formula, and not built; use "
    "priority-holdback-policy or static-usage-limit-policy";
constexpr const char* kEvents =
    "needs the engines' KV events, which are not read yet; use approx-prefix-cache-producer and "
    "prefix-cache-scorer";

struct Refused {
  const char* type;
  const char* reason;
};

constexpr Refused kRefused[] = {
    {"latency-scorer", kLatencyModel},
    {"slo-headroom-tier-filter", kLatencyModel},
    {"predicted-latency-producer", kLatencyModel},
    {"latency-slo-admitter", kLatencyModel},
    {"request-attribute-reporter", kCel},
    {"mm-embeddings-cache-scorer", kImages},
    {"mm-embeddings-cache-producer", kImages},
    {"burst-prefix-cache-producer", kAlphaOnly},
    {"p2p-source-producer", kAlphaOnly},
    {"multicluster-queue-scorer", kAlphaOnly},
    {"multicluster-kv-cache-utilization-scorer", kAlphaOnly},
    {"multicluster-prefix-cache-scorer", kAlphaOnly},
    {"multicluster-session-affinity-filter", kAlphaOnly},
    {"multicluster-approx-prefix-cache-producer", kAlphaOnly},
    {"soft-reflective-ceiling-policy", kNoFormula},
    {"precise-prefix-cache-producer", kEvents},
    {"precise-prefix-cache-scorer", kEvents},
};

}  // namespace

void register_refused_plugins(Registry& registry) {
  for (const Refused& refused : kRefused) {
    const auto make = [refused](std::string_view name, const Value&, PluginContext&) -> MadePlugin {
      return Error{std::string(name) + ": " + refused.type + " " + refused.reason};
    };
    registry.add({refused.type, make});
  }
}

}  // namespace kvasir

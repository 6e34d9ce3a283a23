#include "arms.h"

#include <algorithm>

namespace kvasir {
namespace {

// The presets with each cache known exactly, as exact events would tell it at once: what these
// rules can do.
constexpr std::string_view kExactDynamo = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: exact-prefix-cache-producer
- type: dynamo-cost-scorer
)";

constexpr std::string_view kExactLMetric = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: exact-prefix-cache-producer
- type: lmetric-scorer
)";

constexpr std::string_view kExactLlmD = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: exact-prefix-cache-producer
- type: prefix-cache-scorer
- type: queue-scorer
- type: kv-cache-utilization-scorer
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: prefix-cache-scorer
    weight: 3
  - pluginRef: queue-scorer
    weight: 2
  - pluginRef: kv-cache-utilization-scorer
    weight: 2
)";

constexpr std::string_view kExactKv = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: exact-prefix-cache-producer
- type: predicted-cost-picker
)";

// From the end of a step until a gateway in the same rack has read what it changed.
constexpr Duration kKvEventLag = std::chrono::milliseconds(2);

constexpr Arm kArms[] = {
    {"round-robin", "round-robin", ""},
    {"least-load", "least-load", ""},
    {"dynamo", "dynamo", ""},
    {"llm-d", "llm-d", ""},
    {"lmetric", "lmetric", ""},
    {"load-cost", "load-cost", ""},
    {"kv-unheld", "kv", ""},
    {"kv", "kv", "", true},
    {"dynamo-exact", "", kExactDynamo},
    {"llm-d-exact", "", kExactLlmD},
    {"llm-d-exact-all-waiting", "", kExactLlmD, false, true},
    {"lmetric-exact", "", kExactLMetric},
    {"kv-unheld-exact", "", kExactKv},
    {"kv-unheld-events", "kv", "", false, false, true},
    {"kv-events", "kv", "", true, false, true},
};

}  // namespace

std::span<const Arm> comparison_arms() {
  return kArms;
}

const Arm* find_arm(std::string_view name) {
  const auto found = std::find_if(std::begin(kArms), std::end(kArms),
                                  [name](const Arm& arm) { return arm.name == name; });
  return found == std::end(kArms) ? nullptr : found;
}

SimulationOptions options_of(const Arm& arm, const EngineProfile& profile) {
  SimulationOptions options;
  options.policy = arm.policy;
  options.config = arm.config;
  options.hold = arm.hold;
  options.prefilling_waits = arm.prefilling_waits;
  options.profile = profile;
  if (arm.kv_events) options.kv_event_lag = kKvEventLag;
  return options;
}

}  // namespace kvasir

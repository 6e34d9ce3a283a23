#include "config/presets.h"

#include <array>

namespace kvasir {
namespace {

struct Preset {
  std::string_view name;
  std::string_view text;
};

constexpr Preset kPresets[] = {
    {"round-robin",
     R"(# round-robin: every endpoint in turn. The baseline every other policy is compared with.
# Its picker is no plugin of llm-d's: use it with --allow-experimental-plugins.
apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- type: round-robin-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: round-robin-picker
)"},
    {"random", R"(# random: any endpoint, each equally likely.
apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- type: random-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: random-picker
)"},
    {"least-load", R"(# least-load: the endpoint with the fewest requests in flight.
# Its picker is no plugin of llm-d's: use it with --allow-experimental-plugins.
apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- type: least-load-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: least-load-picker
)"},
    {"load-cost",
     R"(# load-cost: the endpoint where the request costs the least time, its own and everyone's, as if no
# prompt were cached anywhere.
# Its picker and ordering are no plugins of llm-d's: use it with --allow-experimental-plugins.
apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
featureGates:
- flowControl
plugins:
- type: predicted-cost-picker
  parameters:
    usePrefixMatches: false
- type: smallest-work-ordering-policy
- type: global-strict-fairness-policy
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: predicted-cost-picker
# A request waits while every endpoint has work for --hold-threshold ahead of it; the smallest goes
# first.
flowControl:
  saturationDetector:
    pluginRef: predicted-cost-picker
  defaultRequestTTL: 60s
  noEndpointRequestTTL: 1ms
  defaultPriorityBand:
    orderingPolicyRef: smallest-work-ordering-policy
dataLayer:
  injectDefaults: false
)"},
    {"kv",
     R"(# kv: the endpoint where the request costs the least time, its own and everyone's: queue, prefill
# that the endpoint's cache does not save, decode. What each cache holds is known where its engine
# says so (--kv-events), else guessed from what was sent there.
# Its picker and ordering are no plugins of llm-d's: use it with --allow-experimental-plugins.
apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
featureGates:
- flowControl
plugins:
- type: approx-prefix-cache-producer
  parameters:
    blockSizeTokens: 512
    lruCapacityPerServer: 1024
    capacityOfEngineProfile: true
    maxPrefixTokensToMatch: 1000000000000
- type: predicted-cost-picker
- type: smallest-work-ordering-policy
- type: global-strict-fairness-policy
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: predicted-cost-picker
# A request waits while every endpoint has work for --hold-threshold ahead of it; the smallest goes
# first.
flowControl:
  saturationDetector:
    pluginRef: predicted-cost-picker
  defaultRequestTTL: 60s
  noEndpointRequestTTL: 1ms
  defaultPriorityBand:
    orderingPolicyRef: smallest-work-ordering-policy
dataLayer:
  injectDefaults: false
)"},
    {"dynamo",
     R"(# dynamo: NVIDIA Dynamo's rule, to compare with: the fewest prompt tokens that wait there and are not
# cached, in blocks, and blocks in use.
# Its scorer is no plugin of llm-d's: use it with --allow-experimental-plugins.
apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- type: dynamo-cost-scorer
- type: approx-prefix-cache-producer
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: dynamo-cost-scorer
  - pluginRef: max-score-picker
)"},
    {"lmetric",
     R"(# lmetric: LMetric's rule, to compare with: prompt tokens that wait there and are not cached, times
# the requests in flight.
# Its scorer is no plugin of llm-d's: use it with --allow-experimental-plugins.
apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- type: lmetric-scorer
- type: approx-prefix-cache-producer
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: lmetric-scorer
  - pluginRef: max-score-picker
)"},
    {"llm-d",
     R"(# llm-d: the scorers and weights that llm-d begins with, to compare with. It reads the endpoints'
# metrics.
apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- type: prefix-cache-scorer
- type: queue-scorer
- type: kv-cache-utilization-scorer
- type: approx-prefix-cache-producer
- type: max-score-picker
- type: single-profile-handler
- type: metrics-data-source
- type: core-metrics-extractor
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: prefix-cache-scorer
    weight: 3
  - pluginRef: queue-scorer
    weight: 2
  - pluginRef: kv-cache-utilization-scorer
    weight: 2
  - pluginRef: max-score-picker
dataLayer:
  injectDefaults: false
  sources:
  - pluginRef: metrics-data-source
    extractors:
    - pluginRef: core-metrics-extractor
)"},
};

constexpr auto kNames = [] {
  std::array<std::string_view, std::size(kPresets)> names;
  for (size_t i = 0; i < names.size(); ++i) names[i] = kPresets[i].name;
  return names;
}();

}  // namespace

std::span<const std::string_view> policy_names() {
  return kNames;
}

std::string_view preset_text(std::string_view policy) {
  for (const Preset& preset : kPresets) {
    if (preset.name == policy) return preset.text;
  }
  return "";
}

}  // namespace kvasir

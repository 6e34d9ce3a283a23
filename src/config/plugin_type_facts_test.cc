// What becomes of each plugin type that upstream's endpoint picker has: made, or refused with a
// reason.
#include "config/plugin_type_facts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>

#include "config/compile.h"
#include "config/read_endpoint_picker_config.h"
#include "plugins/plugin_roster.h"
#include "scheduling/plugin_maker.h"

namespace kvasir {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

constexpr const char* kModel = "needs a trained latency model";
constexpr const char* kCel = "needs an engine for CEL expressions";
constexpr const char* kImages = "needs the images of a request";
constexpr const char* kExperimental = "is experimental upstream and not built";
constexpr const char* kConditions = "{conditions: [{metric: waiting-queue, maxValue: 8}]}";
constexpr const char* kAttribute =
    "{attribute: x, algorithm: {type: threshold, threshold: {operator: LessThan, value: 1}}}";

struct Row {
  const char* type;
  const char* parameters = "{}";
  Stability stability = Stability::kStable;
  const char* refused = "";  // why; empty: it is made
};

// In the order of the configuration's reference: pickers, handlers and deciders, filters, scorers,
// producers, admission and reports.
const Row kScheduling[] = {
    {"max-score-picker"},
    {"random-picker"},
    {"weighted-random-picker"},
    {"predicted-cost-picker", "{}", Stability::kAlpha},
    {"least-load-picker", "{}", Stability::kAlpha},
    {"round-robin-picker", "{}", Stability::kAlpha},
    {"single-profile-handler"},
    {"disagg-profile-handler"},
    {"pd-profile-handler", "{}", Stability::kDeprecated},
    {"data-parallel-profile-handler", "{}", Stability::kDeprecated},
    {"header-profile-handler", "{}", Stability::kAlpha},
    {"disagg-headers-handler", "{}", Stability::kDeprecated},
    {"prefill-header-handler", "{}", Stability::kDeprecated},
    {"always-disagg-pd-decider"},
    {"always-disagg-multimodal-decider"},
    {"prefix-based-pd-decider"},
    {"label-selector-filter"},
    {"by-label-selector", "{}", Stability::kDeprecated},
    {"by-label", "{label: a, validValues: [b]}", Stability::kDeprecated},
    {"decode-filter"},
    {"prefill-filter"},
    {"encode-filter"},
    {"prefix-cache-affinity-filter"},
    {"slo-headroom-tier-filter", "{}", Stability::kStable, kModel},
    {"session-affinity-filter", "{}", Stability::kAlpha},
    {"endpoint-attribute-filter", kAttribute, Stability::kAlpha},
    {"topology-affinity-filter", "{}", Stability::kAlpha},
    {"utilization-filter", kConditions, Stability::kAlpha},
    {"context-length-aware"},
    {"header-based-testing-filter"},
    {"multicluster-session-affinity-filter", "{}", Stability::kStable, kExperimental},
    {"queue-scorer"},
    {"running-requests-size-scorer"},
    {"kv-cache-utilization-scorer"},
    {"load-aware-scorer"},
    {"active-request-scorer"},
    {"token-load-scorer"},
    {"lora-affinity-scorer"},
    {"prefix-cache-scorer"},
    {"precise-prefix-cache-scorer", "{}", Stability::kDeprecated},
    {"no-hit-lru-scorer"},
    {"session-affinity-scorer", "{}", Stability::kAlpha},
    {"latency-scorer", "{}", Stability::kStable, kModel},
    {"endpoint-attribute-scorer", "{attributeKey: x, algorithm: {type: linear_lower_is_better}}",
     Stability::kAlpha},
    {"header-label-affinity-scorer", "{headerName: h, labelKey: l}", Stability::kAlpha},
    {"mm-embeddings-cache-scorer", "{}", Stability::kStable, kImages},
    {"topology-affinity-scorer", "{}", Stability::kAlpha},
    {"multicluster-queue-scorer", "{}", Stability::kStable, kExperimental},
    {"multicluster-kv-cache-utilization-scorer", "{}", Stability::kStable, kExperimental},
    {"multicluster-prefix-cache-scorer", "{}", Stability::kStable, kExperimental},
    {"seed-load-aware-scorer"},
    {"seed-composite-scorer"},
    {"seed-kv-cache-manager-scorer", "{endpoint: http://127.0.0.1:8080}"},
    {"seed-precise-prefix-cache-scorer"},
    {"predicted-cost-pd-decider", "{}", Stability::kAlpha},
    {"dynamo-cost-scorer", "{}", Stability::kAlpha},
    {"lmetric-scorer", "{}", Stability::kAlpha},
    {"inflight-load-producer"},
    {"approx-prefix-cache-producer"},
    {"precise-prefix-cache-producer"},
    {"token-producer"},
    {"tokenizer", "{}", Stability::kDeprecated},
    {"predicted-latency-producer", "{}", Stability::kStable, kModel},
    {"session-id-producer"},
    {"mm-embeddings-cache-producer", "{}", Stability::kStable, kImages},
    {"burst-prefix-cache-producer", "{}", Stability::kStable, kExperimental},
    {"p2p-source-producer", "{}", Stability::kStable, kExperimental},
    {"multicluster-approx-prefix-cache-producer", "{}", Stability::kStable, kExperimental},
    {"latency-slo-admitter", "{}", Stability::kStable, kModel},
    {"request-attribute-reporter", "{}", Stability::kStable, kCel},
};

// Types whose place is elsewhere than in a scheduling profile: known; those that no module makes
// are refused by name.
const char* const kElsewhere[] = {"utilization-detector",
                                  "concurrency-detector",
                                  "probabilistic-admitter",
                                  "agent-identity",
                                  "disaggregatedset-rollout-screener",
                                  "destination-endpoint-served-verifier",
                                  "openai-parser",
                                  "anthropic-parser",
                                  "vllmgrpc-parser",
                                  "vllmhttp-parser",
                                  "sglanghttp-parser",
                                  "vertexai-parser",
                                  "passthrough-parser",
                                  "metrics-data-source",
                                  "core-metrics-extractor",
                                  "models-data-source",
                                  "models-data-extractor",
                                  "dcgm-data-source",
                                  "dcgm-extractor",
                                  "topology-extractor",
                                  "k8s-notification-source",
                                  "endpoint-notification-source",
                                  "file-discovery",
                                  "disaggregatedset-rollout-pod-extractor",
                                  "multicluster-metrics-data-source",
                                  "multicluster-metrics-extractor",
                                  "multicluster-file-discovery",
                                  "global-strict-fairness-policy",
                                  "round-robin-fairness-policy",
                                  "program-aware-fairness",
                                  "fcfs-ordering-policy",
                                  "edf-ordering-policy",
                                  "slo-deadline-ordering-policy",
                                  "smallest-work-ordering-policy",
                                  "static-usage-limit-policy",
                                  "priority-holdback-policy",
                                  "soft-reflective-ceiling-policy",
                                  "sheddable-eviction-filter",
                                  "priority-then-time-eviction-order-policy"};

// The one plugin in a profile that a handler of any kind can run.
std::string config_of(const Row& row) {
  return std::string(
             "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n- {type: ") +
         row.type + ", parameters: " + row.parameters + "}\n- {type: queue-scorer, name: any}\n" +
         "schedulingProfiles:\n- {name: decode, plugins: [{pluginRef: any}]}\n";
}

std::string problem_of(const Row& row, bool allow_alpha) {
  CompileOptions options;
  options.plugins.endpoints = 2;
  options.plugins.allow_alpha = allow_alpha;
  options.plugins.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  const auto made = compile(config_of(row), "file", plugin_registry({}).value(), options);
  return made ? "" : made.error().message;
}

class PluginTypes : public ::testing::Test {
 protected:
  const Registry registry_ = plugin_registry({}).value();
  const std::vector<PluginTypeFacts> facts_ = plugin_type_facts(registry_);
};

TEST_F(PluginTypes, EachOfSchedulingIsMadeOrSaysWhyNot) {
  for (const Row& row : kScheduling) {
    const std::string problem = problem_of(row, true);
    if (*row.refused == '\0') {
      EXPECT_EQ(problem, "") << row.type;
    } else {
      EXPECT_THAT(problem, HasSubstr(std::string(row.type) + " " + row.refused));
      EXPECT_THAT(problem, HasSubstr("line 4: ")) << row.type;
    }
  }
}

TEST_F(PluginTypes, AlphaAndDeprecatedOnesAreMarked) {
  for (const Row& row : kScheduling) {
    const PluginType* type = registry_.find(row.type);
    ASSERT_NE(type, nullptr) << row.type;
    EXPECT_EQ(type->stability, row.stability) << row.type;
    EXPECT_EQ(problem_of(row, false).find("is experimental: allow it") != std::string::npos,
              row.stability == Stability::kAlpha)
        << row.type;
  }
}

TEST_F(PluginTypes, EachOfElsewhereIsKnownAndNoneIsIgnored) {
  for (const char* type : kElsewhere) {
    ASSERT_NE(find_plugin_type(facts_, type), nullptr) << type;
    EXPECT_THAT(problem_of({type}, true),
                AnyOf("", HasSubstr("file:4: " + std::string(type)), HasSubstr("line 4: ")));
  }
}

TEST_F(PluginTypes, TheTablesAboveAreComplete) {
  std::set<std::string_view> listed(std::begin(kElsewhere), std::end(kElsewhere));
  for (const Row& row : kScheduling) listed.insert(row.type);
  for (const PluginTypeFacts& type : facts_) EXPECT_TRUE(listed.count(type.name)) << type.name;
}

// The places that a plugin's own classes give it.
uint32_t places_of(const Plugin* plugin) {
  uint32_t places = 0;
  if (dynamic_cast<const Filter*>(plugin) != nullptr) places |= kFilterPlace;
  if (dynamic_cast<const Scorer*>(plugin) != nullptr) places |= kScorerPlace;
  if (dynamic_cast<const Picker*>(plugin) != nullptr) places |= kPickerPlace;
  if (dynamic_cast<const ProfileHandler*>(plugin) != nullptr) places |= kProfileHandlerPlace;
  if (dynamic_cast<const Producer*>(plugin) != nullptr) places |= kProducerPlace;
  if (dynamic_cast<const SaturationDetector*>(plugin) != nullptr) places |= kFlowControlPlace;
  if (dynamic_cast<const StageDecider*>(plugin) != nullptr) places |= kOtherPlace;
  return places != 0 ? places : uint32_t{kOtherPlace};
}

TEST_F(PluginTypes, TheReaderKnowsThePlacesThatTheClassesHave) {
  PluginOptions options;
  options.endpoints = 2;
  options.allow_alpha = true;
  options.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  for (const Row& row : kScheduling) {
    if (*row.refused != '\0') continue;
    const ConfigReading reading = read_endpoint_picker_config(config_of(row), facts_);
    ASSERT_TRUE(reading.ok()) << row.type << ": " << reading.errors[0].text;
    SchedulingConfig config;
    config.plugins = {reading.config.plugins[0]};
    config.profiles = reading.config.profiles;
    PluginMaker maker(registry_, config, options);
    Plugin* plugin = maker.find(row.type);
    ASSERT_NE(plugin, nullptr) << to_string(maker.problems());
    // Of the data layer no class tells.
    const uint32_t places = find_plugin_type(facts_, row.type)->places & ~kDataLayerPlace;
    EXPECT_EQ(places, places_of(plugin)) << row.type;
  }
}

TEST_F(PluginTypes, WhatTheRegistrySaysOfDeprecationCounts) {
  for (const std::string_view name : registry_.names()) {
    const PluginType& type = *registry_.find(name);
    if (type.stability != Stability::kDeprecated) continue;
    const PluginTypeFacts& facts = *find_plugin_type(facts_, name);
    EXPECT_TRUE(facts.deprecated) << name;
    EXPECT_EQ(facts.replaced_by, type.replaced_by) << name;
    const PluginTypeFacts* upstream = find_plugin_type(upstream_plugin_types(), name);
    if (upstream != nullptr) {
      EXPECT_EQ(upstream->replaced_by, type.replaced_by) << name;
    }
  }
}

TEST_F(PluginTypes, AForeignTypeBringsItsPlaces) {
  Registry registry = registry_;
  PluginType foreign{"foreign", [](auto, auto&, auto&) -> MadePlugin { return Error{"no"}; }};
  foreign.places = kScorerPlace | kFilterPlace;
  registry.add(foreign);
  const std::vector<PluginTypeFacts> facts = plugin_type_facts(registry);
  ASSERT_NE(find_plugin_type(facts, "foreign"), nullptr);
  EXPECT_EQ(find_plugin_type(facts, "foreign")->places, kScorerPlace | kFilterPlace);
}

}  // namespace
}  // namespace kvasir

#include "config/read_endpoint_picker_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <fstream>
#include <sstream>

namespace kvasir {
namespace {

using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr const char* kHead =
    "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";  // lines 1 and 2

constexpr const char* kMinimal = R"(apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: decode-filter
- type: active-request-scorer
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins: [{pluginRef: decode-filter}, {pluginRef: max-score-picker}, {pluginRef: active-request-scorer, weight: 1}]
)";

ConfigReading read(const std::string& text) {
  return read_endpoint_picker_config(text, upstream_plugin_types());
}

std::vector<std::string> texts(const std::vector<Remark>& remarks) {
  std::vector<std::string> all;
  for (const Remark& remark : remarks) all.push_back(to_string(remark));
  return all;
}

EndpointPickerConfig good(const std::string& text) {
  ConfigReading reading = read(text);
  EXPECT_THAT(texts(reading.errors), ElementsAre()) << text;
  return reading.config;
}

std::vector<std::string> names(const SchedulingProfileConfig& profile) {
  std::vector<std::string> all;
  for (const PluginUse& use : profile.plugins) all.push_back(use.plugin);
  return all;
}

std::string example(const std::string& file) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  std::ifstream stream(std::string(root != nullptr ? root : ".") + "/examples/" + file);
  std::ostringstream text;
  text << stream.rdbuf();
  return text.str();
}

TEST(EndpointPickerConfig, TheMinimalExampleIsRead) {
  const EndpointPickerConfig config = good(kMinimal);
  ASSERT_EQ(config.profiles.size(), 1u);
  EXPECT_THAT(names(config.profiles[0]),
              ElementsAre("decode-filter", "max-score-picker", "active-request-scorer"));
  EXPECT_EQ(config.profiles[0].plugins[2].weight, 1);
  EXPECT_EQ(config.profiles[0].plugins[0].weight, std::nullopt);
  EXPECT_EQ(config.find_plugin("decode-filter")->line, 4);
  EXPECT_TRUE(read(kMinimal).warnings.empty());
}

TEST(EndpointPickerConfig, AnEmptyFileIsTheDefaultConfiguration) {
  for (const std::string& text : {std::string(), std::string("# nothing\n"), std::string(kHead)}) {
    const EndpointPickerConfig config = good(text);
    ASSERT_EQ(config.profiles.size(), 1u);
    EXPECT_EQ(config.profiles[0].name, "default");
    EXPECT_THAT(names(config.profiles[0]),
                ElementsAre("queue-scorer", "kv-cache-utilization-scorer", "prefix-cache-scorer",
                            "max-score-picker"));
    EXPECT_EQ(config.profiles[0].plugins[0].weight, 2);
    EXPECT_EQ(config.profiles[0].plugins[1].weight, 2);
    EXPECT_EQ(config.profiles[0].plugins[2].weight, 3);
    ASSERT_EQ(config.data_layer.sources.size(), 1u);
    EXPECT_EQ(config.data_layer.sources[0].plugin, "metrics-data-source");
    EXPECT_THAT(config.data_layer.sources[0].extractors, ElementsAre("core-metrics-extractor"));
    EXPECT_NE(config.find_plugin("single-profile-handler"), nullptr);
    EXPECT_FALSE(config.flow_control_enabled);
    EXPECT_TRUE(config.populate_non_leader_datastore);
  }
}

TEST(EndpointPickerConfig, WithoutProfilesOneHoldsEverything) {
  const ConfigReading reading =
      read(std::string(kHead) +
           "plugins:\n- {type: decode-filter}\n- {name: load, type: queue-scorer}\n"
           "- {type: inflight-load-producer}\n");
  ASSERT_TRUE(reading.ok());
  ASSERT_EQ(reading.config.profiles.size(), 1u);
  EXPECT_THAT(names(reading.config.profiles[0]),
              ElementsAre("decode-filter", "load", "max-score-picker"));
  EXPECT_NE(reading.config.find_plugin("single-profile-handler"), nullptr);
  EXPECT_GE(reading.notes.size(), 3u);
}

TEST(EndpointPickerConfig, EveryFieldIsRead) {
  const EndpointPickerConfig config =
      good(std::string(kHead) + R"(featureGates: [flowControl, haPopulateNonLeaderDatastore=false]
plugins:
- {type: queue-scorer}
- {type: file-discovery, parameters: {path: endpoints.yaml}}
- {type: metrics-data-source}
- {type: core-metrics-extractor}
- {type: round-robin-fairness-policy}
- {type: edf-ordering-policy}
- {type: static-usage-limit-policy}
- {type: concurrency-detector}
- {type: openai-parser}
dataLayer:
  injectDefaults: false
  sources: [{pluginRef: metrics-data-source, extractors: [{pluginRef: core-metrics-extractor}]}]
  discovery: {pluginRef: file-discovery}
  crossReplicaSyncInterval: 100ms
flowControl:
  maxBytes: 2Gi
  maxRequests: "1k"
  defaultRequestTTL: 90s
  defaultPriorityBand: {maxRequests: 7}
  defaultNegativePriorityBand: {maxBytes: 1M}
  priorityBands:
  - {priority: -5}
  - {priority: 3, maxBytes: 512Mi, maxRequests: 10, fairnessPolicyRef: round-robin-fairness-policy, orderingPolicyRef: edf-ordering-policy}
  usageLimitPolicyPluginRef: static-usage-limit-policy
  saturationDetector: {pluginRef: concurrency-detector}
  enableEviction: true
requestHandler:
  parsers: [{pluginRef: openai-parser}]
)");
  EXPECT_TRUE(config.flow_control_enabled);
  EXPECT_FALSE(config.populate_non_leader_datastore);
  EXPECT_FALSE(config.data_layer.inject_defaults);
  EXPECT_EQ(config.data_layer.discovery, "file-discovery");
  EXPECT_EQ(config.data_layer.cross_replica_sync_interval, std::chrono::milliseconds(100));
  const FlowControlConfig& flow = config.flow_control;
  EXPECT_EQ(flow.bytes_most, uint64_t{2} << 30);
  EXPECT_EQ(flow.requests_most, 1000u);
  EXPECT_EQ(flow.default_request_ttl, seconds(90));
  EXPECT_EQ(flow.no_endpoint_request_ttl, seconds(90));
  EXPECT_EQ(flow.default_band.requests_most, 7u);
  EXPECT_EQ(flow.default_negative_band.bytes_most, 1'000'000u);
  ASSERT_EQ(flow.bands.size(), 2u);
  EXPECT_EQ(flow.bands[0].priority, 3);
  EXPECT_EQ(flow.bands[0].bytes_most, 512u << 20);
  EXPECT_EQ(flow.bands[0].fairness_policy, "round-robin-fairness-policy");
  EXPECT_EQ(flow.bands[1].bytes_most, 1'000'000'000u);
  EXPECT_EQ(flow.bands[1].requests_most, 5000u);
  EXPECT_EQ(flow.bands[1].ordering_policy, "fcfs-ordering-policy");
  EXPECT_NE(config.find_plugin("fcfs-ordering-policy"), nullptr);
  EXPECT_EQ(flow.usage_limit_policy, "static-usage-limit-policy");
  EXPECT_EQ(flow.saturation_detector, "concurrency-detector");
  EXPECT_TRUE(flow.eviction);
  EXPECT_THAT(config.parsers, ElementsAre("openai-parser"));
}

TEST(EndpointPickerConfig, OldNamesAreTakenWithAWarning) {
  const ConfigReading reading = read(R"(apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- {type: queue-scorer}
- {type: concurrency-detector}
- {type: openai-parser}
saturationDetector: {pluginRef: concurrency-detector}
parser: {pluginRef: openai-parser}
)");
  EXPECT_TRUE(reading.ok());
  EXPECT_EQ(reading.config.flow_control.saturation_detector, "concurrency-detector");
  EXPECT_THAT(reading.config.parsers, ElementsAre("openai-parser"));
  EXPECT_THAT(texts(reading.warnings),
              ElementsAre(HasSubstr("line 1: apiVersion"), HasSubstr("line 7: saturationDetector"),
                          HasSubstr("line 8: parser")));
}

TEST(EndpointPickerConfig, TheProxyPerformanceConfigurationIsRead) {
  const std::string text = R"(apiVersion: inference.networking.x-k8s.io/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: by-label-selector
  name: by-kv-backend
  parameters:
    matchLabels:
      llm-d.ai/kv-backend: nvlink
- type: active-request-scorer
  parameters:
    requestTimeout: "2m"
- type: max-score-picker
- type: single-profile-handler
schedulingProfiles:
- name: default
  plugins:
  - pluginRef: by-kv-backend
  - pluginRef: active-request-scorer
    weight: 1
  - pluginRef: max-score-picker
)";
  const EndpointPickerConfig config = good(text);
  EXPECT_THAT(names(config.profiles[0]),
              ElementsAre("by-kv-backend", "active-request-scorer", "max-score-picker"));
  const Value& parameters = config.find_plugin("by-kv-backend")->parameters;
  EXPECT_EQ(*parameters.find("matchLabels")->find("llm-d.ai/kv-backend")->text(), "nvlink");
  EXPECT_THAT(
      texts(read(text).warnings),
      ElementsAre(
          HasSubstr("old name"),
          "line 4: plugins: type by-label-selector is deprecated; use label-selector-filter"));
}

TEST(EndpointPickerConfig, TheExamplesHaveNoErrorsAndNoWarnings) {
  for (const char* file :
       {"epp_default.yaml", "epp_proxy_performance.yaml",
        "epp_proxy_performance_by_backend.yaml", "epp_flow_control.yaml"}) {
    const ConfigReading reading = read(example(file));
    EXPECT_THAT(texts(reading.errors), ElementsAre()) << file;
    EXPECT_THAT(texts(reading.warnings), ElementsAre()) << file;
    EXPECT_GT(reading.config.plugins.size(), 3u) << file;
  }
}

TEST(EndpointPickerConfig, AConfigMapMayHoldOneConfiguration) {
  const std::string map = "kind: ConfigMap\napiVersion: v1\ndata:\n";
  const std::string block =
      "  config.yaml: |\n    apiVersion: llm-d.ai/v1alpha1\n    kind: EndpointPickerConfig\n    "
      "plugins:\n    - {type: queue-scorr}\n";
  EXPECT_THAT(
      texts(read(map + block).errors),
      ElementsAre(
          "line 8: plugins: type 'queue-scorr' does not exist; did you mean 'queue-scorer'?"));
  EXPECT_THAT(texts(read(map + "  a: |\n    x: 1\n  b: |\n    x: 1\n").errors),
              ElementsAre(HasSubstr("line 4: ConfigMap: data must hold exactly one configuration "
                                    "as text; its keys are 'a', 'b'")));
  EXPECT_THAT(texts(read("kind: ConfigMap\n").errors),
              ElementsAre(HasSubstr("line 1: ConfigMap: data must be a map")));
  const ConfigReading quoted = read(map + "  c: \"kind: x\\nplugins: 7\"\n");
  EXPECT_THAT(texts(quoted.errors), testing::Contains(HasSubstr("line 2: plugins must be a list")));
  EXPECT_THAT(texts(quoted.notes),
              testing::Contains(HasSubstr("count from the start of this text")));
}

// A hint that names a type must name one that exists.
TEST(EndpointPickerConfig, EachFormerTypeIsToldWithWhatDoesItsWorkToday) {
  for (const char* former :
       {"kv-cache-scorer", "least-kv-cache-filter", "least-queue-filter", "low-queue-filter",
        "lora-affinity-filter", "kvcache-aware-scorer", "prefix-aware-scorer",
        "model-server-protocol-metrics", "model-server-protocol-models",
        "predicted-latency-scorer", "slo-aware-routing", "slo-aware-profile-handler"}) {
    const std::string hint(former_plugin_type_hint(former));
    const bool names_one = std::any_of(
        upstream_plugin_types().begin(), upstream_plugin_types().end(),
        [&](const PluginTypeFacts& type) { return hint.find(type.name) != std::string::npos; });
    EXPECT_TRUE(names_one) << former << ": " << hint;
    EXPECT_EQ(find_plugin_type(upstream_plugin_types(), former), nullptr) << former;
  }
  EXPECT_THAT(std::string(former_plugin_type_hint("decision-tree-filter")),
              HasSubstr("schedulingProfiles"));
  EXPECT_EQ(former_plugin_type_hint("queue-scorer"), "");
}

TEST(EndpointPickerConfig, AFleetIsNamedAndNotReadAsAConfiguration) {
  const auto errors_of = [](const std::string& text) { return texts(read(text).errors); };
  EXPECT_THAT(errors_of("# here\nworkers: {decode: {count: 2}}\ngateway: {}\n"),
              ElementsAre(HasSubstr("line 2: this is a fleet for kvasir up -f, not a config")));
  EXPECT_THAT(errors_of("workers: []\nplugins: [{type: queue-scorer}]\n"),
              ElementsAre(HasSubstr("unknown field 'workers'")));
}

TEST(EndpointPickerConfig, EachErrorNamesLineAndKey) {
  const std::string scorer = "plugins: [{type: queue-scorer}]\n";  // line 3
  const struct {
    std::string text;  // after the two lines of kHead
    std::string error;
  } cases[] = {
      {"plugin: []\n",
       "line 3: EndpointPickerConfig: unknown field 'plugin'; did you mean 'plugins'?"},
      {"plugins: {}\n", "line 3: plugins must be a list, not a map"},
      {"plugins:\n- {typ: queue-scorer}\n",
       "line 4: plugins[0]: unknown field 'typ'; did you mean 'type'?"},
      {"plugins:\n- {name: a}\n", "line 4: plugins[0]: type is missing"},
      {"plugins:\n- {type: 7}\n", "line 4: plugins[0]: type must be a text, not a number"},
      {"plugins:\n- queue-scorer\n", "line 4: plugins[0]: fields must be a map, not a text"},
      {"plugins:\n- {type: quue-scorer}\n",
       "line 4: plugins: type 'quue-scorer' does not exist; did you mean 'queue-scorer'?"},
      {"plugins:\n- {type: kv-cache-scorer}\n",
       "line 4: plugins: type 'kv-cache-scorer' does not exist any more; it is called "
       "kv-cache-utilization-scorer now"},
      {"plugins:\n- type: queue-scorer\n  parameters: [1]\n",
       "line 5: plugins[0]: parameters must be a map, not a list"},
      {"plugins:\n- {type: queue-scorer}\n- {type: queue-scorer}\n",
       "line 5: plugins: the name 'queue-scorer' is taken by line 4"},
      {"plugins:\n- {type: single-profile-handler}\n- {type: disagg-profile-handler}\n",
       "line 5: plugins: 'disagg-profile-handler' is a second profile handler"},
      {scorer + "schedulingProfiles:\n- {plugins: []}\n",
       "line 5: schedulingProfiles[0]: name is missing"},
      {scorer + "schedulingProfiles:\n- {name: a}\n- {name: a}\n",
       "line 6: schedulingProfiles: the name 'a' is taken by line 5"},
      {scorer + "schedulingProfiles:\n- {name: a}\n- {name: b}\n",
       "plugins: 2 schedulingProfiles need a profile handler"},
      {"plugins: [{type: single-profile-handler}]\nschedulingProfiles: [{name: a}, {name: b}]\n",
       "line 3: plugins: single-profile-handler runs one profile, but there are 2"},
      {scorer + "schedulingProfiles:\n- name: a\n  plugins:\n  - {pluginRef: queue-score}\n",
       "line 7: schedulingProfiles: a: there is no plugin 'queue-score'; did you mean "
       "'queue-scorer'?"},
      {scorer + "schedulingProfiles:\n- name: a\n  plugins:\n  - {weight: 1}\n",
       "line 7: schedulingProfiles[0]: plugins[0]: pluginRef is missing"},
      {scorer + "schedulingProfiles:\n- name: a\n  plugins:\n  - {pluginRef: queue-scorer, weight: "
                "-1}\n",
       "line 7: schedulingProfiles[0]: plugins[0]: weight is out of range"},
      {scorer + "schedulingProfiles:\n- name: a\n  plugins:\n  - {pluginRef: queue-scorer, weight: "
                ".inf}\n",
       "line 7: .inf is no finite number"},
      {"plugins: [{type: max-score-picker}, {type: random-picker}]\n",
       "schedulingProfiles: default: 'random-picker' is a second picker beside 'max-score-picker'"},
      {"featureGates: [flowcontrol]\n",
       "line 3: featureGates: unknown gate 'flowcontrol'; did you mean 'flowControl'?"},
      {"featureGates: [flowControl=yes]\n",
       "line 3: featureGates: 'flowControl=yes' must end in =true or =false"},
      {scorer + "dataLayer: {sources: [{pluginRef: nobody}]}\n",
       "line 4: dataLayer: sources: there is no plugin 'nobody'"},
      {scorer + "dataLayer: {sources: [{pluginRef: queue-scorer}]}\n",
       "line 4: dataLayer: sources: 'queue-scorer' is a queue-scorer, not a data source"},
      {scorer + "dataLayer:\n  injectDefault: true\n",
       "line 5: dataLayer: unknown field 'injectDefault'; did you mean 'injectDefaults'?"},
      {scorer + "flowControl:\n  maxBytes: 1GB\n",
       "line 5: flowControl: maxBytes must be a quantity"},
      {scorer + "flowControl:\n  defaultRequestTTL: 5\n",
       "line 5: flowControl: defaultRequestTTL must be a duration"},
      {scorer + "flowControl:\n  priorityBands:\n  - {maxRequests: 1}\n",
       "line 6: flowControl: priorityBands[0]: priority is missing"},
      {scorer + "flowControl:\n  priorityBands:\n  - {priority: 1}\n  - {priority: 1}\n",
       "line 7: flowControl: priorityBands[1]: priority 1 already has the band of line 6"},
      {scorer + "flowControl:\n  priorityBands:\n  - {priority: 1, fairnessPolicyRef: nobody}\n",
       "line 6: flowControl: priorityBands: there is no plugin 'nobody'"},
      {scorer + "flowControl:\n  saturationDetector: {pluginRef: queue-scorer}\n",
       "flowControl: saturationDetector: 'queue-scorer' is a queue-scorer, not a saturation "
       "detector"},
      {scorer + "requestHandler: {parsers: [{}]}\n",
       "line 4: requestHandler: parsers[0]: pluginRef is missing"},
  };
  for (const auto& bad : cases) {
    EXPECT_THAT(texts(read(kHead + bad.text).errors), testing::Contains(HasSubstr(bad.error)))
        << bad.text;
  }
}

TEST(EndpointPickerConfig, AnotherVersionOrKindIsRefused) {
  EXPECT_THAT(texts(read("apiVersion: llm-d.ai/v2\nkind: Picker\n").errors),
              ElementsAre("line 1: EndpointPickerConfig: apiVersion must be llm-d.ai/v1 or "
                          "llm-d.ai/v1alpha1, not 'llm-d.ai/v2'",
                          "line 2: EndpointPickerConfig: kind must be EndpointPickerConfig, not "
                          "'Picker'"));
  EXPECT_FALSE(read("just words").ok());
  EXPECT_FALSE(read("[1, 2]").ok());
}

TEST(EndpointPickerConfig, MissingVersionAndKindAreTakenWithAWarning) {
  const std::string plugins = "plugins: [{type: queue-scorer}]\n";
  const struct {
    const char* head;
    const char* warning;  // empty: none
  } cases[] = {
      {"", "line 1: apiVersion and kind are missing: read as EndpointPickerConfig of llm-d.ai/v1"},
      {"kind: EndpointPickerConfig\n", "line 1: apiVersion is missing: read as"},
      {"apiVersion: llm-d.ai/v1alpha1\n", "line 1: kind is missing: read as"},
      {"apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n", ""},
      {"apiVersion: llm-d.ai/v1\nkind: EndpointPickerConfig\n", ""},
  };
  for (const auto& one : cases) {
    const ConfigReading reading = read(one.head + plugins);
    EXPECT_THAT(texts(reading.errors), ElementsAre()) << one.head;
    if (*one.warning == '\0') {
      EXPECT_THAT(texts(reading.warnings), ElementsAre()) << one.head;
    } else {
      EXPECT_THAT(texts(reading.warnings), ElementsAre(HasSubstr(one.warning))) << one.head;
    }
    EXPECT_NE(reading.config.find_plugin("queue-scorer"), nullptr);
  }
}

// The same data layer as v1alpha1 and as v1 lays it out.
TEST(EndpointPickerConfig, TheLayoutsOfBothVersionsMeanTheSame) {
  const std::string plugins =
      "kind: EndpointPickerConfig\nplugins:\n"
      "- {name: files, type: file-discovery, parameters: {path: e.yaml}}\n"
      "- {name: peers, type: file-discovery, parameters: {path: p.yaml}}\n"
      "- {name: syncer, type: queue-scorer}\n";
  const ConfigReading old = read("apiVersion: llm-d.ai/v1alpha1\n" + plugins + R"(dataLayer:
  discovery: {pluginRef: files}
  peerDiscovery: {pluginRef: peers}
  crossReplicaSyncerPluginRef: syncer
  crossReplicaSyncInterval: 500ms
  crossReplicaPublishTimeout: 2s
)");
  const ConfigReading now = read("apiVersion: llm-d.ai/v1\n" + plugins + R"(dataLayer:
  discovery:
    endpoints: {pluginRef: files}
    peers: {pluginRef: peers}
  crossReplica:
    syncerPluginRef: syncer
    syncInterval: 500ms
    publishTimeout: 2s
requestHandler: {propagatePriority: false}
)");
  for (const ConfigReading* reading : {&old, &now}) {
    EXPECT_THAT(texts(reading->errors), ElementsAre());
    EXPECT_THAT(texts(reading->warnings), ElementsAre());
    const DataLayerConfig& layer = reading->config.data_layer;
    EXPECT_EQ(layer.discovery, "files");
    EXPECT_EQ(layer.peer_discovery, "peers");
    EXPECT_EQ(layer.cross_replica_syncer, "syncer");
    EXPECT_EQ(layer.cross_replica_sync_interval, std::chrono::milliseconds(500));
  }
}

TEST(EndpointPickerConfig, OldPlacesInAFileOfVersionOneAreTakenWithAWarning) {
  const ConfigReading reading = read(R"(apiVersion: llm-d.ai/v1
kind: EndpointPickerConfig
plugins:
- {name: files, type: file-discovery, parameters: {path: e.yaml}}
dataLayer:
  discovery: {pluginRef: files}
)");
  EXPECT_THAT(texts(reading.errors), ElementsAre());
  EXPECT_EQ(reading.config.data_layer.discovery, "files");
  EXPECT_THAT(texts(reading.warnings),
              ElementsAre(HasSubstr("line 6: dataLayer: discovery.pluginRef is called dataLayer: "
                                    "discovery.endpoints.pluginRef in llm-d.ai/v1")));
}

TEST(EndpointPickerConfig, WhatVersionOneAsksForAndIsNotBuiltIsRefused) {
  EXPECT_THAT(texts(read(std::string(kHead) + "requestHandler: {propagatePriority: true}\n").errors),
              ElementsAre(HasSubstr("line 3: requestHandler: propagatePriority is not built")));
}

TEST(EndpointPickerConfig, AParserInTheSingularIsTaken) {
  const ConfigReading reading = read(std::string(kHead) +
                                     "plugins: [{type: openai-parser}]\n"
                                     "requestHandler: {parser: {pluginRef: openai-parser}}\n");
  EXPECT_THAT(texts(reading.errors), ElementsAre());
  EXPECT_THAT(reading.config.parsers, ElementsAre("openai-parser"));
  EXPECT_THAT(texts(reading.warnings), ElementsAre(HasSubstr("line 4: requestHandler: parser is")));
}

TEST(EndpointPickerConfig, AWaitingTimeOfZeroIsNoLimit) {
  const FlowControlConfig flow =
      good(std::string(kHead) + "flowControl: {defaultRequestTTL: 0s, priorityBands: [{priority: 1, "
                                "defaultRequestTTL: 5s}]}\n")
          .flow_control;
  EXPECT_GT(flow.default_request_ttl, std::chrono::hours(24 * 365));
  EXPECT_EQ(flow.no_endpoint_request_ttl, flow.default_request_ttl);
  EXPECT_EQ(flow.bands[0].default_request_ttl, seconds(5));
  EXPECT_EQ(flow.default_band.default_request_ttl, Duration::zero());
}

TEST(EndpointPickerConfig, AProfileWithoutAPickerTakesTheConfiguredOne) {
  const EndpointPickerConfig config =
      good(std::string(kHead) +
           "plugins: [{type: queue-scorer}, {name: mine, type: random-picker}]\n"
           "schedulingProfiles: [{name: default, plugins: [{pluginRef: queue-scorer}]}]\n");
  EXPECT_THAT(names(config.profiles[0]), ElementsAre("queue-scorer", "mine"));
}

TEST(EndpointPickerConfig, SeveralErrorsAreToldAtOnceInTheOrderOfTheLines) {
  const ConfigReading reading =
      read(std::string(kHead) + "plugin: 1\nplugins:\n- {typ: x}\nflowControl: {maxByte: 1}\n");
  EXPECT_THAT(
      texts(reading.errors),
      ElementsAre("line 3: EndpointPickerConfig: unknown field 'plugin'; did you mean 'plugins'?",
                  "line 5: plugins[0]: type is missing",
                  "line 5: plugins[0]: unknown field 'typ'; did you mean 'type'?",
                  "line 6: flowControl: unknown field 'maxByte'; did you mean 'maxBytes'?"));
}

TEST(EndpointPickerConfig, OnlyTheFirstErrorsOfManyAreTold) {
  std::string text = std::string(kHead) + "plugins:\n";
  for (size_t at = 0; at < kConfigErrorsMost + 5; ++at)
    text += "- {name: " + std::to_string(at) + "x, typ: a}\n";
  const ConfigReading reading = read(text);
  ASSERT_EQ(reading.errors.size(), kConfigErrorsMost + 1);
  EXPECT_THAT(reading.errors.back().text, HasSubstr("more errors"));
}

}  // namespace
}  // namespace kvasir

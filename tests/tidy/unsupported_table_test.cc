// Holds the table "What is not supported" of docs/EPP.md against the code: every type that is
// refused or has no effect is in it with the reason that the program tells, every setting too, and
// nothing else.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <sstream>

#include "config/compile.h"
#include "config/plugin_type_facts.h"
#include "config/read_scrape_plan.h"
#include "plugins/plugin_roster.h"
#include "plugins/refused_plugins.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kNoEffect = "has no effect here: ";

std::string document() {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : ".") + "/docs/EPP.md");
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

struct Row {
  std::vector<std::string> names;  // in the first cell
  bool is_setting = false;         // and not plugin types alone
  std::string verdict;
  std::string why;
};

std::vector<Row> rows() {
  static const std::regex line(R"(\| (`[^|]*?) \| [^|]* \| (refused|no effect) \| ([^|]*) \|)");
  static const std::regex name("`([^`]+)`");
  std::vector<Row> found;
  const std::string text = document();
  for (std::sregex_iterator it(text.begin(), text.end(), line), end; it != end; ++it) {
    Row row{{}, false, (*it)[2], (*it)[3]};
    const std::string cell = (*it)[1];
    for (std::sregex_iterator at(cell.begin(), cell.end(), name); at != end; ++at)
      row.names.push_back((*at)[1]);
    row.is_setting = find_plugin_type(upstream_plugin_types(), row.names[0]) == nullptr;
    found.push_back(std::move(row));
  }
  return found;
}

std::map<std::string, std::string> listed(const std::string& verdict) {
  std::map<std::string, std::string> types;
  for (const Row& row : rows()) {
    if (row.is_setting || row.verdict != verdict) continue;
    for (const std::string& name : row.names) types[name] = row.why;
  }
  return types;
}

PluginOptions options() {
  PluginOptions options;
  options.endpoints = 2;
  options.allow_alpha = true;
  options.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  return options;
}

Result<PoolConfig> made(const std::string& config) {
  return compile(config, "file", plugin_registry({}).value(), {options()});
}

TEST(UnsupportedTable, HoldsEveryTypeThatIsRefusedWithItsReason) {
  std::map<std::string, std::string> refused = listed("refused");
  for (const RefusedPlugin& plugin : refused_plugins()) {
    const std::string reason = plugin.reason;
    EXPECT_NE(refused.count(plugin.type), 0u) << plugin.type << " is not in docs/EPP.md";
    EXPECT_EQ(refused[plugin.type], reason.substr(0, refused[plugin.type].size())) << plugin.type;
    refused.erase(plugin.type);
  }
  for (const auto& [type, why] : refused) {
    const Result<PoolConfig> answer =
        made("plugins: [{type: " + type + "}]\nrequestHandler: {parsers: [{pluginRef: " + type +
             "}]}\n");
    ASSERT_FALSE(answer) << type << " is built: strike it from docs/EPP.md";
    EXPECT_THAT(answer.error().message, HasSubstr(why)) << type;
  }
}

TEST(UnsupportedTable, HoldsEveryTypeWithoutEffectAndItsReason) {
  std::map<std::string, std::string> noted;
  const Registry registry = plugin_registry({}).value();
  for (const std::string_view name : registry.names()) {
    const std::string& note = registry.find(name)->note;
    if (note.rfind(kNoEffect, 0) == 0) noted[std::string(name)] = note.substr(kNoEffect.size());
  }
  EXPECT_EQ(listed("no effect"), noted);
}

TEST(UnsupportedTable, EveryUpstreamTypeThatIsNotInItIsMadeOrAskedForItsParameters) {
  std::set<std::string> named;
  for (const Row& row : rows()) named.insert(row.names.begin(), row.names.end());
  const Registry registry = plugin_registry({}).value();
  for (const PluginTypeFacts& type : upstream_plugin_types()) {
    if (named.count(std::string(type.name)) != 0) continue;
    EXPECT_TRUE(registry.find(type.name) != nullptr || is_scrape_plugin(type.name, registry) ||
                is_discovery_plugin(type.name) || is_request_parser(type.name))
        << type.name << " is neither built nor in docs/EPP.md";
  }
}

// The first name of a row of settings -> configurations that ask for it.
const std::multimap<std::string, std::string> kSettings = {
    {"ttftSource: latencyPredictor",
     "plugins: [{type: prefix-cache-affinity-filter, parameters: {ttftSource: "
     "latencyPredictor}}]\n"},
    {"scheme: https",
     "plugins: [{type: metrics-data-source, parameters: {scheme: https}}]\n"
     "dataLayer: {sources: [{pluginRef: metrics-data-source}]}\n"},
    {"scheme: https",
     "plugins: [{type: dcgm-data-source, parameters: {scheme: https}}]\n"
     "dataLayer: {sources: [{pluginRef: dcgm-data-source}]}\n"},
    {"sources[].attribute",
     "plugins: [{type: session-affinity-scorer, parameters: {strategy: session_id, "
     "sessionIdConfig: "
     "{sources: [{attribute: agent-identity}]}}}]\n"},
    {"sources[].attribute",
     "plugins: [{type: session-affinity-filter, parameters: {strategy: session_id, "
     "sessionIdConfig: "
     "{sources: [{attribute: agent-identity}]}}}]\n"},
    {"requestHandler.propagatePriority", "requestHandler: {propagatePriority: true}\n"},
    {"dataLayer.peerDiscovery",
     "plugins: [{type: file-discovery, parameters: {path: p}}]\n"
     "dataLayer: {peerDiscovery: {pluginRef: file-discovery}}\n"},
    {"dataLayer.peerDiscovery",
     "plugins: [{type: queue-scorer}]\n"
     "dataLayer: {crossReplicaSyncerPluginRef: queue-scorer}\n"},
    {"dataLayer.crossReplicaSyncInterval", "dataLayer: {crossReplicaSyncInterval: 1s}\n"},
    {"dataLayer.crossReplicaSyncInterval", "dataLayer: {crossReplicaPublishTimeout: 1s}\n"},
    {"dataLayer.crossReplicaSyncInterval", "dataLayer: {crossReplica: {syncInterval: 1s}}\n"},
    {"dataLayer.crossReplicaSyncInterval", "dataLayer: {crossReplica: {publishTimeout: 1s}}\n"},
    {"haPopulateNonLeaderDatastore", "featureGates: [haPopulateNonLeaderDatastore=false]\n"},
    {"estimate", "plugins: [{type: token-producer, parameters: {estimate: {}}}]\n"},
    {"vllm.mmTimeout", "plugins: [{type: token-producer, parameters: {vllm: {mmTimeout: 30s}}}]\n"},
    {"udsTokenizerConfig",
     "plugins: [{type: token-producer, parameters: {udsTokenizerConfig: {socketFile: s}}}]\n"},
    {"tokenProcessorConfig",
     "plugins: [{type: precise-prefix-cache-producer, parameters: {tokenProcessorConfig: "
     "{blockSize: 64}}}]\n"},
    {"indexerConfig.kvBlockIndexConfig",
     "plugins: [{type: precise-prefix-cache-producer, parameters: {indexerConfig: "
     "{kvBlockIndexConfig: {inMemoryConfig: {size: 10}}}}}]\n"},
    {"kvEventsConfig.concurrency",
     "plugins: [{type: precise-prefix-cache-producer, parameters: {kvEventsConfig: {concurrency: "
     "4}}}]\n"},
    {"podDiscoveryConfig.podLabelSelector",
     "plugins: [{type: precise-prefix-cache-producer, parameters: {kvEventsConfig: "
     "{podDiscoveryConfig: {podLabelSelector: a=b}}}}]\n"},
    {"useNodeAddress",
     "plugins: [{type: dcgm-data-source, parameters: {useNodeAddress: true}}]\n"
     "dataLayer: {sources: [{pluginRef: dcgm-data-source}]}\n"},
};

TEST(UnsupportedTable, HoldsEverySettingThatIsRefusedOrHasNoEffect) {
  std::set<std::string> tried;
  for (const Row& row : rows()) {
    if (!row.is_setting) continue;
    tried.insert(row.names[0]);
    EXPECT_NE(kSettings.count(row.names[0]), 0u) << row.names[0] << " is not tried by this test";
    const auto [begin, end] = kSettings.equal_range(row.names[0]);
    for (auto it = begin; it != end; ++it) {
      const Result<PoolConfig> answer = made(it->second);
      EXPECT_EQ(!answer, row.verdict == "refused") << it->second;
      if (!answer) continue;
      EXPECT_THAT(answer->notes, ::testing::Contains(HasSubstr(row.why))) << it->second;
    }
  }
  for (const auto& [name, config] : kSettings) {
    EXPECT_NE(tried.count(name), 0u) << name << " is not in docs/EPP.md";
  }
}

TEST(UnsupportedTable, WhatTheReadmeClaimsIsNoMore) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  std::ifstream file(std::string(root != nullptr ? root : ".") + "/README.md");
  std::ostringstream text;
  text << file.rdbuf();
  EXPECT_THAT(text.str(), ::testing::Not(HasSubstr("every stable plugin")));
  EXPECT_THAT(text.str(), HasSubstr("docs/EPP.md#what-is-not-supported"));
}

}  // namespace
}  // namespace kvasir

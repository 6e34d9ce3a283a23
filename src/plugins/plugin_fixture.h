// For the tests of plugins: a fleet whose metrics, labels, prefix matches and loads are written
// down, and one plugin or a whole configuration on it.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "fleet/fleet.h"
#include "plugins/plugin_roster.h"
#include "scheduling/plugin_maker.h"
#include "scheduling/plugin_set.h"
#include "scheduling/policy.h"

namespace kvasir {

// Parameters in a line: parameters({{"threshold", 10}, {"label", "zone"}}).
struct Item {
  Item(bool boolean) : value(boolean, 7) {}
  Item(int number) : value(int64_t{number}, 7) {}
  Item(double number) : value(number, 7) {}
  Item(const char* text) : value(std::string(text), 7) {}
  Item(Value any) : value(std::move(any)) {}
  Value value;
};
inline Value parameters(std::vector<std::pair<std::string, Item>> items) {
  Value::Map map;
  for (auto& [name, item] : items) map.emplace_back(name, std::move(item.value));
  return Value(std::move(map), 7);
}
inline Value list(std::vector<Item> items) {
  Value::List values;
  for (Item& item : items) values.push_back(std::move(item.value));
  return Value(std::move(values), 7);
}

// The smallest blocks that approx-prefix-cache-producer reads.
inline constexpr BlockSize kSixtyFourTokens{PromptUnit::kBytes, 256};

// What the fake producers answer.
struct FakeData {
  std::vector<uint32_t> matched;
  uint32_t total_blocks = 0;
  uint32_t block_tokens = 1;
  std::vector<InflightLoad> loads;
};

class FakePrefixMatches final : public PrefixMatches {
 public:
  explicit FakePrefixMatches(const FakeData& data) : data_(data) {}
  void produce(const Cycle&) override {}
  const PrefixMatch& match() const override {
    match_ = {data_.matched,
              data_.total_blocks,
              {PromptUnit::kBytes, 4 * data_.block_tokens},
              data_.block_tokens};
    return match_;
  }

 private:
  const FakeData& data_;
  mutable PrefixMatch match_;
};

class FakeInflightLoads final : public InflightLoads {
 public:
  explicit FakeInflightLoads(const FakeData& data) : data_(data) {}
  void produce(const Cycle&) override {}
  std::span<const InflightLoad> loads() const override { return data_.loads; }

 private:
  const FakeData& data_;
};

class PluginTest : public ::testing::Test {
 protected:
  explicit PluginTest(size_t endpoints = 3) {
    register_plugins(registry_);
    registry_.add({"fake-prefix",
                   [this](auto, auto&, auto&) { return make_plugin<FakePrefixMatches>(data_); },
                   Stability::kStable,
                   {},
                   {PrefixMatches::kKind}});
    registry_.add({"fake-loads",
                   [this](auto, auto&, auto&) { return make_plugin<FakeInflightLoads>(data_); },
                   Stability::kStable,
                   {},
                   {InflightLoads::kKind}});
    options_.seed = 1;
    options_.allow_alpha = true;
    resize(endpoints);
  }

  void resize(size_t endpoints) {
    fleet_.endpoints.resize(endpoints);
    candidates_.clear();
    for (uint32_t i = 0; i < endpoints; ++i) {
      fleet_.endpoints[i].present = fleet_.endpoints[i].healthy = true;
      edit(i).name = std::string(1, static_cast<char>('a' + i));
      candidates_.push_back(EndpointId(i));
    }
    data_.matched.assign(endpoints, 0);
    data_.loads.assign(endpoints, {});
    options_.endpoints = endpoints;
  }

  EngineMetrics& metrics(size_t i) { return fleet_.endpoints[i].metrics; }
  void label(size_t i, const std::string& key, const std::string& value) {
    edit(i).labels[key] = value;
  }
  // Snapshots share what seldom changes; a test may write to what it has just made.
  Endpoint& edit(size_t i) {
    auto made = std::make_shared<Endpoint>(*fleet_.endpoints[i].endpoint);
    fleet_.endpoints[i].endpoint = made;
    return *made;
  }
  EngineDetails& details(size_t i) {
    auto made = std::make_shared<EngineDetails>(metrics(i).details());
    metrics(i).shared_details = made;
    return *made;
  }
  void header(std::string_view name, std::string_view value) {
    headers_.push_back({name, value});
    request_.headers = headers_;
  }
  // The request's prompt in blocks; its hashes are borrowed.
  void prompt(std::span<const BlockHash> hashes, BlockSize block = kSixtyFourTokens) {
    view_ = {block, hashes};
    request_.views = std::span(&view_, 1);
  }
  Cycle cycle() const { return Cycle{request_, fleet_, candidates_, now_, done_}; }

  // A plugin of that type, its producers faked. Keeps what it made in plugins_.
  Result<Plugin*> make(const std::string& type, Value value = {}, bool faked = true) {
    config_ = {};
    if (faked) config_.plugins = {{"fake-prefix", "fake-prefix"}, {"fake-loads", "fake-loads"}};
    config_.plugins.push_back({type, type, std::move(value), 5});
    maker_ = std::make_unique<PluginMaker>(registry_, config_, options_);
    if (!maker_->make_all()) return Error{to_string(maker_->problems())};
    Plugin* made = maker_->find(type);
    maker_->connect_all();
    plugins_ = maker_->take_plugins();
    return made;
  }
  std::string error_of(const std::string& type, Value value = {}) {
    const Result<Plugin*> made = make(type, std::move(value));
    return made ? "" : made.error().message;
  }

  // What the plugin that was made last had to tell.
  std::vector<std::string> notes() { return maker_->take_notes(); }

  std::vector<double> scores_of(const Plugin* plugin) const {
    std::vector<double> scores(candidates_.size());
    dynamic_cast<const Scorer&>(*plugin).score(cycle(), candidates_, scores);
    return scores;
  }
  std::vector<double> scores(const std::string& type, Value value = {}) {
    return scores_of(make(type, std::move(value)).value());
  }
  std::vector<uint32_t> kept_by(const Plugin* plugin) const {
    std::vector<EndpointId> kept = candidates_;
    dynamic_cast<const Filter&>(*plugin).filter(cycle(), kept);
    std::vector<uint32_t> ids;
    for (const EndpointId id : kept) ids.push_back(index_of(id));
    return ids;
  }
  std::vector<uint32_t> kept(const std::string& type, Value value = {}) {
    return kept_by(make(type, std::move(value)).value());
  }

  // A policy of all those plugins; scorers weigh 1.
  std::unique_ptr<Policy> policy(std::vector<PluginConfig> plugins) {
    return configured(SchedulingConfig{std::move(plugins), {}});
  }
  std::unique_ptr<Policy> configured(const SchedulingConfig& config) {
    return make_configured_policy(registry_, config, options_).value().policy;
  }
  std::string policy_error(const SchedulingConfig& config) {
    const auto made = make_configured_policy(registry_, config, options_);
    return made ? "" : made.error().message;
  }
  std::optional<Decision> pick(Policy& policy) {
    request_.id = ++last_id_;
    return policy.pick(PickContext{request_, fleet_, candidates_, now_});
  }

  Registry registry_;
  FakeData data_;
  Snapshot fleet_;
  std::vector<EndpointId> candidates_;
  Request request_;
  PromptView view_;
  std::vector<RequestHeader> headers_;
  TimePoint now_{};
  std::vector<ProfileResult> done_;
  PluginOptions options_;
  RequestId last_id_ = 0;

 private:
  SchedulingConfig config_;
  std::unique_ptr<PluginMaker> maker_;
  std::vector<std::unique_ptr<Plugin>> plugins_;
};

}  // namespace kvasir

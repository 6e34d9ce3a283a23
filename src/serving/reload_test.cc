// Configurations that take turns while requests are in flight: whatever plugin comes, goes or
// stays, it hears only of requests that it knows, and all counts end at zero.
#include <gtest/gtest.h>

#include <map>
#include <optional>
#include <set>

#include "config/policy_fixture.h"
#include "config/preset_fixture.h"
#include "fleet/fleet.h"
#include "model/plugin_place.h"
#include "plugins/plugin_roster.h"
#include "scheduling/policy.h"
#include "scheduling/scheduler.h"

namespace kvasir {
namespace {

constexpr size_t kEndpoints = 4;

EngineProfile profile() {
  return load_engine_profile(std::string(kDefaultEngineProfile)).value();
}

class ReloadTest : public testing::Test {
 protected:
  ReloadTest() {
    for (uint32_t i = 0; i < kEndpoints; ++i) {
      fleet_.set_healthy(EndpointId(i), true);
      fleet_.set_kv_capacity(EndpointId(i), 100'000);
    }
    options_.endpoints = kEndpoints;
    options_.profile = profile();
    options_.allow_alpha = true;
  }

  static std::vector<Endpoint> endpoints() {
    std::vector<Endpoint> list;
    for (uint16_t i = 0; i < kEndpoints; ++i) {
      list.push_back({"e" + std::to_string(i), "10.0.0.1", static_cast<uint16_t>(8000 + i), {}});
    }
    return list;
  }

  std::unique_ptr<Policy> policy(const std::string& text) {
    Result<PolicyWithNotes> made = policy_from_config(text, "test", options_, registry_);
    return made ? std::move(made->policy) : nullptr;
  }
  // One that names that type with its default parameters, in a profile when it fits there.
  static std::string config_of(std::string_view type) {
    return "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\n"
           "plugins:\n- type: " +
           std::string(type) + "\n";
  }

  std::optional<uint32_t> pick(Scheduler& scheduler, RequestId id) {
    Request request;
    request.id = id;
    request.model = "m";
    request.prompt_tokens = 1000;
    request.prompt_bytes = 4000;
    const PromptView views[] = {{{PromptUnit::kBytes, 2048}, blocks_},
                                {{PromptUnit::kBytes, 256}, blocks_}};
    request.views = views;
    request.first_token_visible = id % 2 == 0;
    const Scheduled scheduled = scheduler.schedule_among(request, {});
    if (!scheduled.ok()) return std::nullopt;
    open_[id] = true;
    return index_of(scheduled.decision.endpoint);
  }
  void end_all(Scheduler& scheduler) {
    for (const auto& [id, unused] : open_) scheduler.ended(id);
    open_.clear();
  }
  static bool idle(Scheduler& scheduler) {
    for (const SharedPart& part : scheduler.export_shared({})) {
      if (!part.loads.empty()) return false;
    }
    return true;
  }

  Registry registry_ = plugin_registry({}).value();
  PluginOptions options_;
  Fleet fleet_{endpoints()};
  ManualClock clock_;
  std::vector<BlockHash> blocks_ = {1, 2, 3};
  std::map<RequestId, bool> open_;
};

// The fault: ended() of a request that the picker before had booked met an assertion.
TEST_F(ReloadTest, ThePredictedCostPickerKeepsWhatIsInFlight) {
  const std::string text = config_of("predicted-cost-picker");
  Scheduler scheduler(fleet_, policy(text), clock_);
  blocks_.clear();
  std::set<uint32_t> busy;
  for (RequestId id = 1; id < kEndpoints; ++id) busy.insert(pick(scheduler, id).value());
  EXPECT_EQ(busy.size(), kEndpoints - 1) << "a burst spreads";
  scheduler.replace_policy(policy(text + "- type: prefix-cache-scorer\n"));
  EXPECT_EQ(busy.count(pick(scheduler, 9).value()), 0u) << "it knows who is busy";
  scheduler.first_token(2);
  scheduler.replace_policy(policy(text));
  end_all(scheduler);
}

TEST_F(ReloadTest, EveryTypeComesGoesAndStaysWithRequestsInFlight) {
  std::vector<std::string> configs;
  for (const std::string_view type : registry_.names()) {
    if (policy(config_of(type)) != nullptr) configs.push_back(config_of(type));
  }
  // In company, so that counts are kept on both sides.
  configs.push_back(config_of("active-request-scorer") + "- type: predicted-cost-picker\n");
  configs.push_back(config_of("concurrency-detector") + "- type: session-affinity-filter\n");
  ASSERT_GT(configs.size(), 40u);
  RequestId next = 1;
  for (const std::string& from : configs) {
    for (const std::string& to : configs) {
      SCOPED_TRACE(from + to);
      Scheduler scheduler(fleet_, policy(from), clock_);
      // There and back: whoever left and came back knows nothing of what it had.
      for (const std::string* config : {&to, &from, &from, &to}) {
        for (int i = 0; i < 3; ++i) pick(scheduler, next++);
        if (!open_.empty()) scheduler.first_token(open_.begin()->first);
        scheduler.replace_policy(policy(*config));
        if (!open_.empty()) {  // one of the oldest ends
          scheduler.ended(open_.begin()->first);
          open_.erase(open_.begin());
        }
        clock_.advance(std::chrono::milliseconds(10));
      }
      pick(scheduler, next++);
      end_all(scheduler);
      ASSERT_TRUE(idle(scheduler));
      // And goes on as if nothing had happened.
      pick(scheduler, next++);
      end_all(scheduler);
      ASSERT_TRUE(idle(scheduler));
    }
  }
}

// By whatever name it is asked for, and by whichever policy.
TEST_F(ReloadTest, WhatWasSentWhereOutlivesEveryConfigurationThatReadsTheSameBlocks) {
  const auto producer = [](const char* name, int block_tokens) {
    return std::string("- {name: ") + name +
           ", type: approx-prefix-cache-producer, parameters: {blockSizeTokens: " +
           std::to_string(block_tokens) + "}}\n";
  };
  const std::string head =
      "apiVersion: inference.networking.x-k8s.io/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n";
  const auto of_two_kib = [&](const char* name) {
    return policy(head + producer(name, 512) + "- type: prefix-cache-scorer\n");
  };
  const auto cached = [&](Scheduler& scheduler, RequestId id) {
    Request request;
    request.id = id;
    request.prompt_tokens = 3 * 512;
    request.prompt_bytes = 3 * 2048;
    const PromptView view{{PromptUnit::kBytes, 2048}, blocks_};
    request.views = std::span(&view, 1);
    const Scheduled scheduled = scheduler.schedule_among(request, {});
    scheduler.ended(id);
    return scheduled.decision.cached_tokens;
  };
  Scheduler scheduler(fleet_, preset_policy("kv", kEndpoints, profile()), clock_);
  EXPECT_EQ(cached(scheduler, 1), 0u);
  scheduler.replace_policy(of_two_kib("a"));
  EXPECT_EQ(cached(scheduler, 2), 3 * 512u);
  scheduler.replace_policy(of_two_kib("b"));
  EXPECT_EQ(cached(scheduler, 3), 3 * 512u);
  scheduler.replace_policy(policy(config_of("queue-scorer")));
  cached(scheduler, 4);
  scheduler.replace_policy(of_two_kib("a"));
  EXPECT_EQ(cached(scheduler, 5), 3 * 512u) << "a change that is taken back";
  scheduler.replace_policy(policy(head + producer("a", 64) + "- type: prefix-cache-scorer\n"));
  EXPECT_EQ(cached(scheduler, 6), 0u) << "hashed before the reload: no view of that size";
}

// A plugin that does not take over bookings, as one from a shared object may be.
class Strict final : public Scorer {
 public:
  void score(const Cycle&, std::span<const EndpointId>, std::span<double>) const override {}
  void picked(const Cycle& cycle, std::span<const ProfileResult>) override {
    ASSERT_TRUE(open_.emplace(cycle.request.id, true).second);
  }
  void first_token(RequestId request, TimePoint) override { ASSERT_EQ(open_.count(request), 1u); }
  void ended(RequestId request, TimePoint) override { ASSERT_EQ(open_.erase(request), 1u); }

 private:
  std::map<RequestId, bool> open_;
};

TEST_F(ReloadTest, APluginThatTakesNothingOverHearsOnlyOfItsOwnRequests) {
  PluginType type{"strict", [](std::string_view, const Value&, PluginContext&) -> MadePlugin {
                    return make_plugin<Strict>();
                  }};
  type.places = kScorerPlace;
  registry_.add(std::move(type));
  const std::string text = config_of("strict");
  Scheduler scheduler(fleet_, policy(text), clock_);
  RequestId next = 1;
  for (int round = 0; round < 5; ++round) {
    for (int i = 0; i < 10; ++i) pick(scheduler, next++);
    scheduler.first_token(open_.begin()->first);
    scheduler.replace_policy(policy(text));
    for (int i = 0; i < 5; ++i) {
      scheduler.first_token(open_.begin()->first);
      scheduler.ended(open_.begin()->first);
      open_.erase(open_.begin());
    }
  }
  end_all(scheduler);
}

}  // namespace
}  // namespace kvasir

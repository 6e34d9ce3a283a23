// For the tests of flow/: a pool that a test fills, policies as simple as can be, and items that
// write down what happens to them.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "flow/flow_controller.h"

namespace kvasir {

class FirstCome final : public OrderingPolicy {
 public:
  Duration rank(const HeldRequest& held) override { return held.received.time_since_epoch(); }
};

// By prompt length, asked for anew each time; urgent in its last second.
class Shortest final : public OrderingPolicy {
 public:
  Duration rank(const HeldRequest& held) override { return Duration(held.request.prompt_tokens); }
  bool ranks_change() const override { return true; }
  Duration urgent_before_deadline() const override { return std::chrono::seconds(1); }
};

class FirstOfAll final : public FairnessPolicy {
 public:
  size_t next(int32_t, std::span<const FlowHead> flows, TimePoint) override {
    size_t first = 0;
    for (size_t i = 1; i < flows.size(); ++i) {
      const bool earlier = flows[i].rank != flows[first].rank
                               ? flows[i].rank < flows[first].rank
                               : flows[i].sequence < flows[first].sequence;
      if (earlier) first = i;
    }
    return first;
  }
  void served(std::string_view id, uint64_t prompt, uint64_t output, TimePoint) override {
    heard.emplace_back(std::string(id) + " " + std::to_string(prompt) + "+" +
                       std::to_string(output));
  }
  std::vector<std::string> heard;
};

class Turns final : public FairnessPolicy {
 public:
  size_t next(int32_t, std::span<const FlowHead> flows, TimePoint) override {
    return turn_++ % flows.size();
  }

 private:
  size_t turn_ = 0;
};

class Ceilings final : public UsageLimitPolicy {
 public:
  double ceiling(int32_t priority, std::span<const int32_t>) const override {
    return priority < 0 ? .5 : 1;
  }
};

class BelowZero final : public EvictionFilter {
 public:
  bool may_evict(const InFlightRequest& request) const override { return request.priority < 0; }
};

class LowestFirst final : public EvictionOrder {
 public:
  bool before(const InFlightRequest& a, const InFlightRequest& b) const override {
    return a.priority != b.priority ? a.priority < b.priority : a.sequence > b.sequence;
  }
};

// Requests that it takes at once, and those it has.
struct FakePool {
  size_t endpoints = 1;
  size_t stale = 0;
  double capacity = 1;
  double in_flight = 0;
  std::optional<Duration> falls_in;
  Refusal refusal = Refusal::kNone;  // of whatever comes

  PoolSaturation saturation() const {
    PoolSaturation result;
    result.endpoints = endpoints;
    result.stale_endpoints = stale;
    result.decode = in_flight / capacity;
    result.falls_in = falls_in;
    return result;
  }
};

struct FakeItem final : FlowItem {
  FakeItem(std::unique_ptr<Request> made, uint64_t size, FakePool& fake_pool,
           std::vector<std::string>& events, std::string label)
      : FlowItem(*made, size),
        owned(std::move(made)),
        pool(fake_pool),
        log(events),
        name(std::move(label)) {}

  Refusal dispatch() override {
    if (pool.endpoints == 0) return Refusal::kNoEndpoints;
    if (pool.refusal != Refusal::kNone) return pool.refusal;
    pool.in_flight += 1;
    log.push_back(name);
    return Refusal::kNone;
  }
  void finished(FlowOutcome outcome) override { later = outcome; }
  void evicted(FlowOutcome outcome) override { eviction = outcome; }

  const std::unique_ptr<Request> owned;
  FakePool& pool;
  std::vector<std::string>& log;
  const std::string name;
  std::optional<FlowOutcome> at_once, later, eviction;
};

struct RecordingFlowProbe final : FlowProbe {
  void on_outcome(const Request& request, int32_t band, FlowOutcome outcome,
                  Duration held) override {
    outcomes.push_back(std::string(request.fairness_id) + "@" + std::to_string(band) + " " +
                       std::string(answer_for(outcome).label) + " " +
                       std::to_string(held / std::chrono::milliseconds(1)) + "ms");
  }
  void on_revoked(Duration after) override { revoked.push_back(after); }
  void on_metrics_stale(bool all, size_t endpoints) override {
    stale.push_back((all ? "all " : "not all ") + std::to_string(endpoints));
  }
  std::vector<std::string> outcomes;
  std::vector<Duration> revoked;
  std::vector<std::string> stale;
};

class FlowTest : public ::testing::Test {
 protected:
  using Item = std::shared_ptr<FakeItem>;

  FlowTest() {
    settings_.plugins.fairness = {{"global-strict-fairness-policy", &first_of_all_},
                                  {"turns", &turns_}};
    settings_.plugins.ordering = {{"fcfs-ordering-policy", &first_come_}, {"shortest", &shortest_}};
    settings_.plugins.settling_time = std::chrono::milliseconds(10);
  }

  FlowController& controller() {
    if (!controller_) {
      controller_.emplace(
          clock_, settings_, [this] { return pool_.saturation(); }, &probe_);
    }
    return *controller_;
  }
  void band(int32_t priority, PriorityBandConfig config = {}) {
    config.priority = priority;
    settings_.config.bands.push_back(config);
  }
  Item item(const std::string& name, int32_t priority = 0, std::string_view tenant = "t",
            uint64_t bytes = 100, uint32_t tokens = 1) {
    auto request = std::make_unique<Request>();
    request->priority = priority;
    request->fairness_id = tenant;
    request->prompt_tokens = tokens;
    return std::make_shared<FakeItem>(std::move(request), bytes, pool_, dispatched_, name);
  }
  Item enqueue(Item made) {
    made->at_once = controller().enqueue(made);
    return made;
  }
  // One request of the pool ends, whoever it was.
  void release() {
    pool_.in_flight -= 1;
    controller().run();
  }
  void end(FakeItem& ended) {
    pool_.in_flight -= 1;
    controller().ended(ended, 10, 3);
  }
  // Fills the pool with a request that nobody sees.
  void fill() { pool_.in_flight = pool_.capacity; }
  // Everything that waits, in the order in which it goes when the pool has room for one after the
  // other.
  std::vector<std::string> order() {
    dispatched_.clear();
    while (!controller().idle()) release();
    return dispatched_;
  }
  void advance(Duration by) {
    clock_.advance(by);
    controller().run();
  }

  FirstCome first_come_;
  Shortest shortest_;
  FirstOfAll first_of_all_;
  Turns turns_;
  Ceilings ceilings_;
  BelowZero below_zero_;
  LowestFirst lowest_first_;
  ManualClock clock_;
  FakePool pool_;
  RecordingFlowProbe probe_;
  FlowSettings settings_;
  std::vector<std::string> dispatched_;  // names, in order
  std::optional<FlowController> controller_;
};

}  // namespace kvasir

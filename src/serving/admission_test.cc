// The door of a server: what each mode lets through, and what becomes of who is held.
#include "serving/admission.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "fleet/fleet.h"
#include "flow/smallest_work_ordering.h"
#include "net/io/event_loop.h"
#include "scheduling/policy.h"
#include "serving/admission_timer.h"
#include "serving/request_class.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Mode = AdmissionSettings::Mode;
using Outcome = FlowOutcome;

// Takes `capacity` requests.
struct PoolPolicy final : Policy {
  std::optional<Decision> pick(const PickContext& context) override {
    ++in_flight;
    Decision decision;
    decision.endpoint = context.candidates.front();
    return decision;
  }
  void first_token(RequestId, TimePoint) override {}
  void ended(RequestId, TimePoint) override { --in_flight; }
  PoolSaturation saturation(const PoolContext&) override {
    PoolSaturation result;
    result.decode = in_flight / capacity;
    return result;
  }
  Duration predicted_prefill(const PickContext& context) override {
    return milliseconds(context.request.prompt_tokens);
  }
  double capacity = 1;
  int in_flight = 0;
};

class AdmissionTest : public ::testing::Test {
 protected:
  AdmissionTest() {
    auto policy = std::make_unique<PoolPolicy>();
    policy_ = policy.get();
    scheduler_.emplace(fleet_, std::move(policy), clock_);
    fleet_.set_healthy(EndpointId(0), true);
  }

  struct Client {
    Request request;
    std::shared_ptr<FlowItem> item;
    std::optional<Outcome> at_once, later;
    bool booked = false;
  };

  class Item final : public FlowItem {
   public:
    Item(AdmissionTest& test, Client& client)
        : FlowItem(client.request, 10), test_(test), client_(client) {}
    Refusal dispatch() override {
      const Scheduled scheduled = test_.scheduler_->schedule(request(), {});
      client_.booked = scheduled.ok();
      return scheduled.refusal;
    }
    Duration predicted_prefill() override {
      return test_.scheduler_->predicted_prefill(request());
    }
    void finished(Outcome outcome) override {
      client_.later = outcome;
      test_.order_.push_back(static_cast<int>(request().id));
    }

   private:
    AdmissionTest& test_;
    Client& client_;
  };

  void start(Mode mode) { admission_.emplace(*scheduler_, clock_, settings(mode, seconds(5))); }
  // As the policies that hold do it.
  AdmissionSettings settings(Mode mode, Duration held_most) {
    AdmissionSettings settings{mode, {}};
    FlowControlConfig& config = settings.flow.config;
    config.default_request_ttl = held_most;
    config.no_endpoint_request_ttl = Duration::zero();
    for (PriorityBandConfig* band : {&config.default_band, &config.default_negative_band}) {
      band->fairness_policy = "strict";
      band->ordering_policy = "smallest-work";
    }
    settings.flow.plugins.fairness = {{"strict", &fairness_}};
    settings.flow.plugins.ordering = {{"smallest-work", &ordering_}};
    return settings;
  }
  std::unique_ptr<Client> come(int32_t priority = 0, uint32_t tokens = 100) {
    auto client = std::make_unique<Client>();
    client->request.id = ++clients_;
    client->request.prompt_tokens = tokens;
    client->request.fairness_id = "t";
    client->request.priority = priority;
    client->item = std::make_shared<Item>(*this, *client);
    if (admission_->sheds(client->request)) {
      client->at_once = Outcome::kShed;
    } else if (admission_->holds()) {
      client->at_once = admission_->admit(client->item);
    } else {
      client->at_once = outcome_of(client->item->dispatch());
    }
    return client;
  }
  void leave(Client& client) {
    admission_->cancel(*client.item);
    if (std::exchange(client.booked, false)) scheduler_->ended(client.request.id);
    admission_->ended(*client.item, 1, 1);
  }
  void fill() { policy_->capacity = policy_->in_flight; }

  ManualClock clock_;
  Fleet fleet_{{{"a", "127.0.0.1", 1}}};
  PoolPolicy* policy_ = nullptr;
  std::optional<Scheduler> scheduler_;
  GlobalStrictFairness fairness_;
  SmallestWorkOrdering ordering_;
  std::optional<Admission> admission_;
  std::vector<int> order_;
  uint64_t clients_ = 0;
};

// Vectors of endpoint_picker.md §7.3, legacy admission.
TEST_F(AdmissionTest,
       WithoutFlowControlOnlySheddableRequestsAreRefusedAndOnlyWhenThePoolIsFullOrEmpty) {
  const struct {
    int32_t priority;
    bool saturated, endpoints;
    Outcome expected;
  } cases[] = {
      {0, true, true, Outcome::kDispatched},     {-1, false, true, Outcome::kDispatched},
      {-1, true, true, Outcome::kShed},          {-1, false, false, Outcome::kShed},
      {0, false, false, Outcome::kNoCandidates},
  };
  start(Mode::kShedding);
  for (const auto& test : cases) {
    policy_->capacity = test.saturated ? 1e-9 : 1;
    policy_->in_flight = test.saturated ? 1 : 0;
    fleet_.set_healthy(EndpointId(0), test.endpoints);
    const auto client = come(test.priority);
    ASSERT_TRUE(client->at_once);
    EXPECT_EQ(client->at_once, test.expected);
    leave(*client);
  }
}

TEST_F(AdmissionTest, AnOpenDoorLetsEverybodyThrough) {
  start(Mode::kOpen);
  policy_->capacity = 1e-9;
  policy_->in_flight = 1;
  EXPECT_EQ(come(-1)->at_once, Outcome::kDispatched);
}

TEST_F(AdmissionTest, WhoIsHeldGetsAVerdictWhenAnotherLeaves) {
  start(Mode::kFlowControl);
  const auto first = come();
  EXPECT_EQ(first->at_once, Outcome::kDispatched);
  const auto second = come();
  EXPECT_FALSE(second->at_once);
  clock_.advance(milliseconds(30));
  leave(*first);
  EXPECT_EQ(second->later, Outcome::kDispatched);
  EXPECT_EQ(second->item->held_for(), milliseconds(30));
  EXPECT_EQ(policy_->in_flight, 1);
  leave(*second);
  EXPECT_EQ(policy_->in_flight, 0);
}

TEST_F(AdmissionTest, AFirstTokenMayMakeRoomToo) {
  start(Mode::kFlowControl);
  const auto first = come();
  const auto second = come();
  policy_->capacity = 2;
  scheduler_->first_token(first->request.id);
  EXPECT_TRUE(second->later);
  leave(*first);
  leave(*second);
}

TEST_F(AdmissionTest, HeldRequestsGoInTheOrderOfTheirWorkLessAShareOfTheirAge) {
  start(Mode::kFlowControl);
  const auto first = come();
  std::vector<std::unique_ptr<Client>> held;
  held.push_back(come(0, 1000));       // 2: 1 s of work
  clock_.advance(milliseconds(2500));  // worth 0.5 s
  held.push_back(come(0, 600));        // 3: more than the 0.5 s that are left of it
  held.push_back(come(0, 100));        // 4
  leave(*first);
  for (const size_t next : {2, 0, 1}) leave(*held[next]);
  EXPECT_THAT(order_, ElementsAre(4, 2, 3));
}

TEST_F(AdmissionTest, WhoIsNearItsEndGoesBeforeLessWork) {
  start(Mode::kFlowControl);
  const auto first = come();
  const auto much = come(0, 100'000);
  clock_.advance(milliseconds(3500));
  const auto little = come(0, 1);
  leave(*first);
  EXPECT_TRUE(much->later);
  EXPECT_FALSE(little->later);
  leave(*much);
  leave(*little);
}

TEST_F(AdmissionTest, HigherPrioritiesGoBeforeLessWork) {
  start(Mode::kFlowControl);
  admission_->set_priorities({1});
  const auto first = come();
  const auto little = come(0, 1);
  const auto important = come(1, 1000);
  leave(*first);
  EXPECT_TRUE(important->later);
  EXPECT_FALSE(little->later);
  leave(*little);
  leave(*important);
}

TEST_F(AdmissionTest, HeldRequestsAreGivenUpInTheEnd) {
  start(Mode::kFlowControl);
  const auto first = come();
  const auto second = come();
  clock_.advance(seconds(5));
  EXPECT_FALSE(admission_->run());
  EXPECT_EQ(second->later, Outcome::kEvictedTtl);
  leave(*second);
  leave(*first);
  EXPECT_EQ(policy_->in_flight, 0);
}

TEST_F(AdmissionTest, NobodyIsHeldForAnEmptyFleet) {
  start(Mode::kFlowControl);
  fleet_.set_healthy(EndpointId(0), false);
  EXPECT_EQ(come()->at_once, Outcome::kRejectedNoEndpoints);
}

TEST_F(AdmissionTest, AClientThatLeavesLeavesNoBookingWhateverItsState) {
  start(Mode::kFlowControl);
  const auto first = come();
  const auto held = come();
  leave(*held);
  EXPECT_EQ(policy_->in_flight, 1);
  const auto decided = come();
  leave(*first);  // decided has its verdict, and may not know yet
  EXPECT_EQ(policy_->in_flight, 1);
  leave(*decided);
  EXPECT_EQ(policy_->in_flight, 0);
}

TEST_F(AdmissionTest, ItWakesItsOwnerOnceUntilItIsRun) {
  start(Mode::kFlowControl);
  int wakes = 0;
  admission_->set_waker([&] { ++wakes; });
  const auto first = come();
  EXPECT_EQ(wakes, 0);
  const auto second = come();
  const auto third = come();
  EXPECT_EQ(wakes, 1);
  EXPECT_EQ(admission_->run(), FlowController::kPollInterval);
  const auto fourth = come();
  EXPECT_EQ(wakes, 2);
  for (const auto& client : {&first, &second, &third, &fourth}) leave(**client);
}

TEST_F(AdmissionTest, ATimerGivesUpOnTime) {
  SteadyClock real;
  scheduler_.emplace(fleet_, std::make_unique<PoolPolicy>(), real);
  admission_.emplace(*scheduler_, real, settings(Mode::kFlowControl, milliseconds(3)));
  const auto loop = std::move(EventLoop::create().value());
  AdmissionTimer timer(*loop, *admission_);
  const auto first = come();
  const auto second = come();
  const std::function<void()> look = [&] {
    if (second->later) return loop->stop();
    loop->after(milliseconds(1), look);
  };
  look();
  loop->run();
  EXPECT_EQ(second->later, Outcome::kEvictedTtl);
  leave(*second);
  leave(*first);
}

TEST_F(AdmissionTest, AReconfigurationToAnOpenDoorLetsTheHeldOnesGo) {
  start(Mode::kFlowControl);
  const auto first = come();
  const auto second = come();
  admission_->reconfigure({});
  EXPECT_EQ(second->later, Outcome::kDispatched);
  const auto third = come();
  EXPECT_EQ(third->at_once, Outcome::kDispatched);
  leave(*third);
  leave(*first);
  leave(*second);
  EXPECT_EQ(policy_->in_flight, 0);
}

TEST_F(AdmissionTest, WhoIsHeldGoesWhenTheNewConfigurationHoldsNobodyHoweverFullThePoolIs) {
  start(Mode::kFlowControl);
  const auto first = come();
  const auto second = come();
  const auto third = come();
  admission_->reconfigure({Mode::kShedding, {}});
  EXPECT_EQ(second->later, Outcome::kDispatched);
  EXPECT_EQ(third->later, Outcome::kDispatched);
  EXPECT_GE(admission_->stats().saturation.effective(), 1) << "what is shown is what is";
  for (const auto* request : {&first, &second, &third}) leave(**request);
  EXPECT_EQ(policy_->in_flight, 0);
}

TEST(RequestClassTest, TheNewHeadersWinOverTheirAliases) {
  const auto priority_of = [](std::string_view name) -> std::optional<int32_t> {
    if (name == "premium") return 10;
    if (name == "batch") return -1;
    return std::nullopt;
  };
  const struct {
    std::vector<RequestHeader> headers;
    std::string fairness_id;
    int32_t priority;
  } cases[] = {
      {{}, "default-flow", 0},
      {{{"x-llm-d-inference-fairness-id", "ann"}, {"x-llm-d-inference-objective", "premium"}},
       "ann",
       10},
      {{{"x-gateway-inference-fairness-id", "bob"}, {"x-gateway-inference-objective", "batch"}},
       "bob",
       -1},
      {{{"x-gateway-inference-fairness-id", "bob"}, {"x-llm-d-inference-fairness-id", "ann"}},
       "ann",
       0},
      {{{"x-gateway-inference-objective", "batch"}, {"x-llm-d-inference-objective", "premium"}},
       "default-flow",
       10},
      {{{"x-llm-d-inference-objective", "unknown"}, {"x-llm-d-inference-fairness-id", ""}},
       "default-flow",
       0},
  };
  for (const auto& test : cases) {
    const RequestClass found = request_class(test.headers, priority_of);
    EXPECT_EQ(found.fairness_id, test.fairness_id);
    EXPECT_EQ(found.priority, test.priority);
  }
}

}  // namespace
}  // namespace kvasir

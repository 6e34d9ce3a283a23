// Requests under way at a real Pool, on virtual time.
#include "serving/journey.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <deque>

#include "base/virtual_executor_fixture.h"
#include "serving/journey_fixture.h"
#include "serving/pool_thread.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr const char* kHead = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";
constexpr const char* kOpen = "plugins: [{type: active-request-scorer}]\n";
// One request at an endpoint; the others wait.
constexpr const char* kHolding = R"(featureGates: [flowControl]
plugins:
- type: concurrency-detector
  parameters: {maxConcurrency: 1}
- type: active-request-scorer
flowControl: {saturationDetector: {pluginRef: concurrency-detector}}
)";

struct RecordingProbe final : PoolProbe {
  void on_health_changed(const Endpoint&, bool) override {}
  void on_picked(const PickReport& report) override {
    events.push_back("picked " + std::to_string(report.attempt));
    metrics_age = report.metrics_age;
  }
  void on_refused(const RefusalReport& report) override {
    events.push_back("refused " + std::to_string(report.refusal.status));
  }
  void on_routed(const Endpoint& endpoint) override { events.push_back("to " + endpoint.name); }
  void on_released(const Endpoint& endpoint) override { events.push_back("from " + endpoint.name); }
  void on_ended(const EndReport& report) override {
    events.push_back("ended " + std::to_string(static_cast<int>(report.ending)));
    last = report;
    last.labels = {};
  }

  std::vector<std::string> events;
  EndReport last;
  std::optional<Duration> metrics_age;  // of the last pick
};

class JourneyTest : public ::testing::Test {
 protected:
  void start(const std::string& config, size_t endpoints = 2) {
    options_.config = kHead + config;
    options_.config_name = "test";
    for (size_t i = 0; i < endpoints; ++i) {
      options_.feeds.endpoints.push_back({std::string(1, static_cast<char>('a' + i)),
                                          "10.0.0.1",
                                          static_cast<uint16_t>(i + 1),
                                          {}});
    }
    pool_ = std::move(Pool::open(executor_, options_, probe_).value());
    pool_->fleet().replace_all(options_.feeds.endpoints);
    for (uint32_t i = 0; i < endpoints; ++i) pool_->fleet().set_healthy(EndpointId(i), true);
    thread_.emplace(*pool_, executor_, 0);
  }
  std::unique_ptr<JourneyClient> come(const std::string& prompt = "x") {
    auto client = std::make_unique<JourneyClient>(*thread_);
    client->start(prompt);
    return client;
  }
  std::string name(const JourneyClient& client) { return client.journey.endpoint()->name; }
  // Runs what was posted, and time.
  void pass(Duration time = {}) { executor_.run_until(executor_.now() + time); }
  size_t bookings() {
    size_t count = 0;
    for (const SharedPart& part : pool_->scheduler().export_shared({})) count += part.loads.size();
    return count;
  }

  VirtualExecutor executor_;
  RecordingProbe probe_;
  PoolOptions options_;
  std::unique_ptr<Pool> pool_;
  std::optional<PoolThread> thread_;
};

TEST_F(JourneyTest, WhereThereIsRoomItIsDecidedAtOnceAndReportedWhenItEnds) {
  start(kOpen, 1);
  const auto client = come();
  EXPECT_EQ(client->decided, 1);
  EXPECT_EQ(bookings(), 1u);
  client->journey.answer_begins(200);
  client->journey.end(Ending::kNatural);
  client->journey.end(Ending::kError);
  EXPECT_EQ(bookings(), 0u);
  EXPECT_THAT(probe_.events, ElementsAre("to a", "picked 1", "from a", "ended 0"));
  EXPECT_EQ(probe_.last.status, 200);
  EXPECT_TRUE(probe_.last.scheduled);
}

TEST_F(JourneyTest, ItsDeathEndsIt) {
  start(kOpen, 1);
  come().reset();
  EXPECT_EQ(bookings(), 0u);
  EXPECT_THAT(probe_.events, ElementsAre("to a", "picked 1", "from a", "ended 2"));
}

TEST_F(JourneyTest, APickTellsHowOldTheMetricsOfItsEndpointAre) {
  start(kOpen, 1);
  come();
  EXPECT_EQ(probe_.metrics_age, std::nullopt);  // never read
  pass(std::chrono::seconds(1));
  const auto read_at = [&](TimePoint when) {
    EngineMetrics metrics;
    metrics.read_at = when;
    pool_->fleet().set_metrics({{EndpointId(0), metrics}});
  };
  read_at(executor_.now());
  pass(std::chrono::milliseconds(30));
  come();
  EXPECT_EQ(probe_.metrics_age, std::chrono::milliseconds(30));
  read_at(executor_.now() + std::chrono::milliseconds(1));  // by another thread, meanwhile
  come();
  EXPECT_EQ(probe_.metrics_age, Duration::zero());
}

TEST_F(JourneyTest, AnEndpointThatFailedIsNotAskedAgain) {
  start(kOpen);
  const auto client = come();
  const std::string first = name(*client);
  EXPECT_TRUE(client->journey.has_other());
  ASSERT_TRUE(client->journey.retry());
  EXPECT_NE(name(*client), first);
  EXPECT_EQ(bookings(), 1u);
  EXPECT_FALSE(client->journey.has_other());
  EXPECT_FALSE(client->journey.retry());
  EXPECT_EQ(bookings(), 0u);
  EXPECT_EQ(client->journey.attempts(), 2u);
}

TEST_F(JourneyTest, OnlyWhomTheGatewayAllowsIsAsked) {
  start(kOpen, 3);
  JourneyClient client(*thread_);
  client.journey.start(std::nullopt, {{}, 0, std::vector<EndpointId>{EndpointId(1)}});
  EXPECT_EQ(name(client), "b");
  EXPECT_FALSE(client.journey.has_other());
}

TEST_F(JourneyTest, WithoutAnEndpointItIsRefused) {
  start(kOpen, 1);
  pool_->fleet().set_healthy(EndpointId(0), false);
  pool_->fleet().set_reachable(EndpointId(0), false);
  const auto client = come();
  EXPECT_THAT(client->refusals, ElementsAre(503));
  client->journey.end(Ending::kNatural, 503);
  EXPECT_THAT(probe_.events, ElementsAre("refused 503", "ended 0"));
  EXPECT_EQ(probe_.last.endpoint, nullptr);
}

TEST_F(JourneyTest, AHeldOneIsDecidedOnItsExecutorWhenThereIsRoom) {
  start(kHolding, 1);
  const auto first = come();
  const auto held = come();
  EXPECT_EQ(held->decided, 0);
  pass(milliseconds(30));
  first->journey.end(Ending::kNatural);
  EXPECT_EQ(held->decided, 0) << "not on the stack of who made room";
  pass();
  EXPECT_EQ(held->decided, 1);
  held->journey.end(Ending::kNatural);
  EXPECT_EQ(probe_.last.held, milliseconds(30));
  EXPECT_EQ(bookings(), 0u);
}

TEST_F(JourneyTest, NothingComesToOneThatDiedWhileItsVerdictWasOnItsWay) {
  start(kHolding, 1);
  const auto first = come();
  auto held = come();
  const auto next = come();
  first->journey.end(Ending::kNatural);
  EXPECT_EQ(bookings(), 1u) << "of the held one, which does not know yet";
  held.reset();
  EXPECT_EQ(bookings(), 1u) << "of the next one";
  pass();
  EXPECT_EQ(next->decided, 1);
}

TEST_F(JourneyTest, AHeldOneThatLeavesIsForgotten) {
  start(kHolding, 1);
  const auto first = come();
  come().reset();
  EXPECT_EQ(pool_->stats().flow.requests, 0u);
  first->journey.end(Ending::kNatural);
  pass();
  EXPECT_EQ(bookings(), 0u);
}

TEST_F(JourneyTest, AHeldOneHasADeadline) {
  options_.journey.decision_deadline = milliseconds(50);
  start(kHolding, 1);
  const auto first = come();
  const auto held = come();
  pass(milliseconds(49));
  EXPECT_THAT(held->refusals, IsEmpty());
  pass(milliseconds(1));
  EXPECT_THAT(held->refusals, ElementsAre(429));
  EXPECT_EQ(pool_->stats().flow.requests, 0u);
}

TEST_F(JourneyTest, ADrainRefusesWhoIsHeld) {
  start(kHolding, 1);
  const auto first = come();
  const auto held = come();
  pool_->drain();
  pass();
  EXPECT_THAT(held->refusals, ElementsAre(503));
}

TEST_F(JourneyTest, OneThatMayBeShedMustEndForAnotherOfHigherPriority) {
  options_.priority_of = [](std::string_view) { return std::optional<int32_t>(-1); };
  options_.priorities = {-1};
  options_.plugins.allow_alpha = true;
  std::string evicting = kHolding;
  evicting.insert(evicting.rfind('}'), ", enableEviction: true");
  start(evicting, 1);
  const RequestHeader batch[] = {{"x-llm-d-inference-objective", "batch"}};
  JourneyClient victim(*thread_);
  victim.journey.start(std::nullopt, {batch, 1, std::nullopt});
  const auto important = come();
  EXPECT_THAT(victim.evictions, IsEmpty()) << "not on the stack of who came";
  pass();
  EXPECT_THAT(victim.evictions, ElementsAre(429));
  EXPECT_EQ(important->decided, 0);
  victim.journey.end(Ending::kError, 429);
  pass();
  EXPECT_EQ(important->decided, 1);
  EXPECT_EQ(pool_->stats().flow.revocations.confirmed, 1u);
}

TEST_F(JourneyTest, WhoFailsIsAvoidedForAWhile) {
  start(kOpen);
  const auto client = come();
  const std::string failed = name(*client);
  client->journey.conduct().faulty();
  client->journey.end(Ending::kError);
  for (int i = 0; i < 10; ++i) EXPECT_NE(name(*come()), failed);
}

// As long as it is not known whose fault it is, for a shorter while.
TEST_F(JourneyTest, BlameIsSettledByTheAnswer) {
  start(kOpen);
  for (const bool answered : {false, true}) {
    const auto client = come();
    const std::string first = name(*client);
    client->journey.conduct().blame();
    ASSERT_TRUE(client->journey.retry());
    if (answered) {
      client->journey.answer_begins(200);
      client->journey.note_answered();
    } else {
      client->journey.conduct().blame();
      client->journey.conduct().unanswered();
    }
    client->journey.end(Ending::kNatural);
    pass(milliseconds(200));
    // Where nobody is avoided a second request goes to the other one.
    const auto one = come();
    const auto two = come();
    EXPECT_EQ(name(*one) == first || name(*two) == first, !answered);
    pass(seconds(1));
  }
}

TEST_F(JourneyTest, UsageTeachesHowLongPromptsAre) {
  start(kOpen, 1);
  const std::string prompt(1000, 'x');
  const uint32_t before = come(prompt)->journey.request().prompt_tokens;
  for (int i = 0; i < 200; ++i) {
    const auto client = come(prompt);
    client->journey.look("{\"usage\":{\"prompt_tokens\":500,\"completion_tokens\":7}}");
    client->journey.end(Ending::kNatural);
  }
  EXPECT_EQ(probe_.last.completion_tokens, 7u);
  EXPECT_EQ(before, 250u);
  EXPECT_NEAR(come(prompt)->journey.request().prompt_tokens, 500, 5);
}

TEST_F(JourneyTest, A200ThatIsAnErrorIsABadAnswer) {
  start(kOpen, 1);
  const auto client = come();
  client->journey.answer_begins(200);
  EXPECT_FALSE(client->journey.look_for_error("{\"choices\":[]}"));
  EXPECT_TRUE(client->journey.look_for_error("{\"error\":{\"message\":\"no\"}}"));
  EXPECT_TRUE(client->journey.look_for_error("")) << "a prompt was sent";
  client->journey.answer_begins(500);
  EXPECT_FALSE(client->journey.failed_in_200());
  EXPECT_FALSE(client->journey.look_for_error(""));
}

TEST_F(JourneyTest, WhatIsForNoModelTakesTurnsAmongTheBest) {
  start(kOpen, 3);
  pool_->fleet().set_healthy(EndpointId(1), false);
  std::vector<std::string> names;
  for (int i = 0; i < 4; ++i) {
    JourneyClient client(*thread_);
    ASSERT_TRUE(client.journey.start_anywhere({}));
    names.push_back(name(client));
    EXPECT_EQ(bookings(), 0u);
  }
  EXPECT_THAT(names, ElementsAre("a", "c", "a", "c"));
  JourneyClient client(*thread_);
  EXPECT_TRUE(client.journey.start_anywhere({{}, 0, std::vector<EndpointId>{EndpointId(2)}}));
  EXPECT_EQ(name(client), "c");
  EXPECT_FALSE(client.journey.retry());
}

TEST_F(JourneyTest, WhatItsOwnerRefusesIsReportedToo) {
  start(kOpen, 1);
  {
    JourneyClient client(*thread_);
    client.journey.refused({413, "BadRequest", "", "too large"});
  }
  EXPECT_THAT(probe_.events, ElementsAre("refused 413"));
}

// With the objective `name`.
class JourneyObjectivesTest : public JourneyTest {
 protected:
  void start_with(JourneyClient& client, const char* objective) {
    headers_.push_back({"x-llm-d-inference-objective", objective});
    client.journey.start(std::nullopt, {{&headers_.back(), 1}, 0, std::nullopt});
  }
  int32_t priority_of(const char* name) {
    JourneyClient client(*thread_);
    start_with(client, name);
    return client.journey.request().priority;
  }
  std::vector<int64_t> bands() {
    std::vector<int64_t> bands;
    for (const auto& band : pool_->stats().flow.bands) bands.push_back(band.priority);
    return bands;
  }
  void say(std::map<std::string, int32_t, std::less<>> objectives) {
    pool_->set_objectives(std::make_shared<const PriorityByObjective>(std::move(objectives)));
  }

  std::deque<RequestHeader> headers_;
};

TEST_F(JourneyObjectivesTest, ObjectivesThatComeLaterHavePrioritiesAndBands) {
  options_.priority_of = [](std::string_view name) {
    return name == "flag" ? std::optional<int32_t>(3) : std::nullopt;
  };
  options_.priorities = {3};
  start(kHolding);
  EXPECT_EQ(priority_of("later"), 0);
  EXPECT_THAT(bands(), testing::UnorderedElementsAre(0, 3));
  say({{"later", 7}, {"sheddable", -2}, {"flag", 9}});
  EXPECT_EQ(priority_of("later"), 7);
  EXPECT_EQ(priority_of("sheddable"), -2);
  EXPECT_EQ(priority_of("flag"), 3) << "flags count more";
  EXPECT_EQ(priority_of("unknown"), 0);
  EXPECT_THAT(bands(), testing::UnorderedElementsAre(-2, 0, 3, 7, 9));
  say({});
  EXPECT_EQ(priority_of("later"), 0);
  EXPECT_THAT(bands(), testing::UnorderedElementsAre(0, 3));
  EXPECT_EQ(pool_->in_use().objectives, nullptr) << "nobody reads headers for none";
}

// Whoever knows its client says whose turn it takes, and how important it is.
TEST_F(JourneyObjectivesTest, AKnownClientOutranksItsHeaders) {
  options_.priority_of = [](std::string_view) { return std::optional<int32_t>(3); };
  options_.priorities = {3};
  start(kHolding);
  pool_->set_client_priorities({8});
  EXPECT_THAT(bands(), testing::UnorderedElementsAre(0, 3, 8));
  const RequestHeader headers[] = {{"x-llm-d-inference-fairness-id", "another"},
                                   {"x-llm-d-inference-objective", "flag"}};
  const struct {
    std::string_view fairness_id;
    std::optional<int32_t> priority;
    std::string_view expected_id;
    int32_t expected_priority;
  } cases[] = {{"", std::nullopt, "another", 3},
               {"tenant", std::nullopt, "tenant", 3},
               {"tenant", 8, "tenant", 8},
               {"", 8, "another", 8}};
  for (const auto& test : cases) {
    JourneyClient client(*thread_);
    Journey::More more;
    more.headers = headers;
    more.fairness_id = test.fairness_id;
    more.priority = test.priority;
    client.journey.start(std::nullopt, std::move(more));
    EXPECT_EQ(client.journey.request().fairness_id, test.expected_id);
    EXPECT_EQ(client.journey.request().priority, test.expected_priority);
  }
  JourneyClient silent(*thread_);
  Journey::More more;
  more.fairness_id = "tenant";
  silent.journey.start(std::nullopt, std::move(more));
  EXPECT_EQ(silent.journey.request().fairness_id, "tenant");
  EXPECT_EQ(silent.journey.request().priority, 0);
}

// Flow control counts who waits by bands, which come and go meanwhile.
TEST_F(JourneyObjectivesTest, WhoWaitsStaysHeldWhileBandsComeAndGo) {
  start(kHolding, 1);
  say({{"high", 5}});
  const auto come_with = [&](const char* objective) {
    auto client = std::make_unique<JourneyClient>(*thread_);
    start_with(*client, objective);
    return client;
  };
  const auto running = come();
  EXPECT_EQ(running->decided, 1);
  const auto low = come_with("none");
  const auto high = come_with("high");
  say({{"later", 6}, {"high", 5}});
  const auto highest = come_with("later");
  EXPECT_EQ(pool_->stats().flow.requests, 3u);
  running->journey.end(Ending::kNatural);
  pass();
  EXPECT_EQ(highest->decided, 1);
  EXPECT_EQ(high->decided + low->decided, 0);
  say({});  // "high" has no band any more: it waits with priority 0, behind who came before
  highest->journey.end(Ending::kNatural);
  pass();
  EXPECT_EQ(low->decided, 1);
  low->journey.end(Ending::kNatural);
  pass();
  EXPECT_EQ(high->decided, 1);
}

TEST_F(JourneyTest, ModelsAreRewrittenFromWhenRulesComeUntilTheyGo) {
  struct Probe final : PoolProbe {
    void on_health_changed(const Endpoint&, bool) override {}
    void on_model_rewritten(std::string_view rewrite, std::string_view model,
                            std::string_view target) override {
      told.append(rewrite).append(":").append(model).append(">").append(target).append(" ");
    }
    std::string told;
  } probe;
  options_.config = std::string(kHead) + kOpen;
  options_.config_name = "test";
  options_.feeds.endpoints = {{"a", "10.0.0.1", 1, {}}};
  pool_ = std::move(Pool::open(executor_, options_, probe).value());
  thread_.emplace(*pool_, executor_, 0);
  EXPECT_EQ(thread_->rewritten_model("m"), std::nullopt);
  auto table = std::make_shared<ModelRewriteTable>();
  table->add("r", {"m"}, {{"tuned", {}}});
  pool_->set_rewrites(table);
  EXPECT_EQ(thread_->rewritten_model("m"), "tuned");
  EXPECT_EQ(thread_->rewritten_model("n"), std::nullopt);
  pool_->set_rewrites(nullptr);
  EXPECT_EQ(thread_->rewritten_model("m"), std::nullopt);
  EXPECT_EQ(probe.told, "r:m>tuned ");
  thread_.reset();
  pool_.reset();
}

}  // namespace
}  // namespace kvasir

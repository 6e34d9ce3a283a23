// Requests whose prompt is prefilled apart, at a real Pool on virtual time: who is booked, and
// when.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>

#include "base/virtual_executor_fixture.h"
#include "serving/apart_config_fixture.h"
#include "serving/journey_fixture.h"
#include "serving/pool_thread.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre, ::testing::IsEmpty, ::testing::Pair, ::testing::UnorderedElementsAre;

struct EndProbe final : PoolProbe {
  void on_health_changed(const Endpoint&, bool) override {}
  void on_routed(const Endpoint& endpoint) override { ++underway[endpoint.name]; }
  void on_released(const Endpoint& endpoint) override {
    if (--underway[endpoint.name] == 0) underway.erase(endpoint.name);
  }
  void on_ended(const EndReport& report) override {
    prefill = report.prefill == nullptr ? "" : report.prefill->name;
    prefill_time = report.prefill_time;
    predicted = report.predicted_cached_tokens;
  }
  std::map<std::string, int> underway;
  std::string prefill;
  Duration prefill_time{};
  std::optional<uint32_t> predicted;
};

// Prefill workers p0, p1, ...; decode workers d0, d1, ...
class JourneyPrefillTest : public ::testing::Test {
 protected:
  void start(size_t prefillers, size_t decoders) {
    PoolOptions options;
    options.config = kApartConfig;
    options.config_name = "test";
    std::vector<Endpoint>& all = options.feeds.endpoints;
    const auto add = [&all](char letter, size_t count, const char* role) {
      for (size_t i = 0; i < count; ++i) {
        const auto port = static_cast<uint16_t>(all.size() + 1);
        all.push_back({letter + std::to_string(i), "10.0.0.1", port, {{"llm-d.ai/role", role}}});
      }
    };
    add('p', prefillers, "prefill");
    add('d', decoders, "decode");
    pool_ = std::move(Pool::open(executor_, options, probe_).value());
    pool_->fleet().replace_all(all);
    for (uint32_t i = 0; i < all.size(); ++i) pool_->fleet().set_healthy(EndpointId(i), true);
    thread_.emplace(*pool_, executor_, 0);
  }
  std::unique_ptr<JourneyClient> come() {
    auto client = std::make_unique<JourneyClient>(*thread_);
    client->start("a prompt of some words");
    return client;
  }
  std::string name(EndpointId id) {
    return pool_->snapshot()->endpoints[index_of(id)].endpoint->name;
  }
  // Requests by endpoint.
  std::map<std::string, int> bookings() {
    std::map<std::string, int> booked;
    for (const SharedPart& part : pool_->scheduler().export_shared({})) {
      for (const SharedLoad& load : part.loads) {
        booked[name(load.endpoint)] += static_cast<int>(load.requests);
      }
    }
    return booked;
  }

  VirtualExecutor executor_;
  EndProbe probe_;
  std::unique_ptr<Pool> pool_;
  std::optional<PoolThread> thread_;
};

TEST_F(JourneyPrefillTest, ThePrefillerIsBookedFromTheDecisionUntilItsLegEnds) {
  start(1, 1);
  const auto client = come();
  EXPECT_THAT(bookings(), UnorderedElementsAre(Pair("p0", 1), Pair("d0", 1)));
  const size_t leg = client->journey.begin_prefill().value();
  EXPECT_EQ(client->journey.prefill_endpoint(leg).name, "p0");
  EXPECT_THAT(probe_.underway, UnorderedElementsAre(Pair("p0", 1), Pair("d0", 1)));
  client->journey.end_prefill(leg);
  client->journey.end_prefill(leg);
  client->journey.prefilled(leg, milliseconds(70));
  EXPECT_THAT(bookings(), ElementsAre(Pair("d0", 1)));
  EXPECT_THAT(probe_.underway, ElementsAre(Pair("d0", 1)));
  client->journey.answer_begins(200);
  client->journey.first_byte();
  client->journey.end(Ending::kNatural);
  EXPECT_THAT(bookings(), IsEmpty());
  EXPECT_THAT(probe_.underway, IsEmpty());
  EXPECT_EQ(probe_.prefill, "p0");
  EXPECT_EQ(probe_.prefill_time, milliseconds(70));
  EXPECT_EQ(probe_.predicted, std::nullopt) << "the usage is of the decoder's cache";
}

TEST_F(JourneyPrefillTest, TheNextPrefillerIsAnotherOneAndTheDecoderStays) {
  start(3, 1);
  const auto client = come();
  std::vector<std::string> asked;
  while (const std::optional<size_t> leg = client->journey.begin_prefill()) {
    asked.push_back(client->journey.prefill_endpoint(*leg).name);
    if (asked.size() == 2) {
      EXPECT_THAT(bookings(),
                  UnorderedElementsAre(Pair(asked[0], 1), Pair(asked[1], 1), Pair("d0", 1)))
          << "two at once are booked at once";
      client->journey.end_prefill(0);
      client->journey.end_prefill(1);
      EXPECT_THAT(bookings(), ElementsAre(Pair("d0", 1)));
    }
  }
  EXPECT_THAT(asked, UnorderedElementsAre("p0", "p1", "p2"));
  client->journey.prefilled(2, milliseconds(1));
  EXPECT_EQ(name(*client->journey.decision().prefill), asked[2]);
  EXPECT_EQ(client->journey.endpoint()->name, "d0");
  client->journey.end(Ending::kClientGone, 499);
  EXPECT_THAT(bookings(), IsEmpty()) << "a leg that still ran goes with the request";
  EXPECT_THAT(probe_.underway, IsEmpty());
}

TEST_F(JourneyPrefillTest, AnotherDecoderTakesWhatWasPrefilled) {
  start(2, 2);
  const auto client = come();
  const size_t leg = client->journey.begin_prefill().value();
  client->journey.end_prefill(leg);
  client->journey.prefilled(leg, milliseconds(1));
  const std::string first = client->journey.endpoint()->name;
  const std::optional<EndpointId> prefiller = client->journey.decision().prefill;
  ASSERT_TRUE(client->journey.retry());
  EXPECT_NE(client->journey.endpoint()->name, first);
  EXPECT_EQ(client->journey.decision().prefill, prefiller);
  EXPECT_THAT(bookings(), ElementsAre(Pair(client->journey.endpoint()->name, 1)))
      << "nobody prefills again";
  EXPECT_FALSE(client->journey.retry()) << "prefill workers do not decode";
  EXPECT_THAT(bookings(), IsEmpty());
  EXPECT_THAT(probe_.underway, IsEmpty());
}

TEST_F(JourneyPrefillTest, WhoeverDecodesAloneIsAloneBooked) {
  start(1, 2);
  const auto client = come();
  client->journey.prefill_together();
  EXPECT_THAT(bookings(), ElementsAre(Pair(client->journey.endpoint()->name, 1)));
  EXPECT_EQ(client->journey.decision().prefill, std::nullopt);
  ASSERT_TRUE(client->journey.retry());
  EXPECT_THAT(bookings(), ElementsAre(Pair(client->journey.endpoint()->name, 1)));
  client->journey.end(Ending::kNatural, 200);
  EXPECT_THAT(bookings(), IsEmpty());
  EXPECT_EQ(probe_.prefill, "");
}

}  // namespace
}  // namespace kvasir

// Endpoints whose names have no address when the feeds start, and get one later.
#include "feeds/fleet_feeds.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <utility>

#include "fleet/fleet.h"
#include "net/io/resolver_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

class FleetFeedsTest : public testing::Test, public FleetProbe {
 protected:
  void on_joined(EndpointId, const Endpoint& endpoint) override {
    told_.push_back(endpoint.name + " joined");
  }
  void on_health_changed(const Endpoint& endpoint, bool healthy) override {
    health_.push_back(endpoint.name + (healthy ? " healthy" : " unhealthy"));
  }
  void on_unwatched(const Endpoint& endpoint) override {
    health_.push_back(endpoint.name + " unwatched");
  }
  void on_left(const Endpoint& endpoint) override { told_.push_back(endpoint.name + " left"); }
  void on_moved(const Endpoint& endpoint, std::string_view address) override {
    told_.push_back(endpoint.name + " is at " + std::string(address));
  }
  void on_discovery_failed(std::string_view source, std::string_view why) override {
    told_.push_back(std::string(source) + ": " + std::string(why));
  }

  Endpoint endpoint(const std::string& host) const {
    Endpoint endpoint;
    endpoint.name = endpoint.host = host;
    endpoint.port = port_;
    return endpoint;
  }
  void start(const std::vector<std::string>& hosts) {
    FleetFeedsOptions options;
    for (const std::string& host : hosts) options.endpoints.push_back(endpoint(host));
    options.check_health = check_health_;
    options.dns_interval = milliseconds(1);
    feeds_ = std::make_unique<FleetFeeds>(*loop_, resolver_, fleet_, *this, std::move(options));
    ASSERT_TRUE(feeds_->start());
  }
  bool happens(const std::function<bool()>& done) {
    const TimePoint deadline = SteadyClock().now() + std::chrono::seconds(10);
    while (!done() && SteadyClock().now() < deadline) {
      loop_->after(milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
    }
    return done();
  }
  std::vector<std::string> present() const {
    std::vector<std::string> names;
    for (const EndpointState& state : fleet_.snapshot()->endpoints) {
      if (state.present) names.push_back(state.endpoint->name);
    }
    return names;
  }

  std::unique_ptr<EventLoop> loop_ = std::move(EventLoop::create().value());
  Fleet fleet_{4};
  FakeResolver resolver_;
  std::vector<std::string> told_;
  std::vector<std::string> health_;
  bool check_health_ = false;
  uint16_t port_ = 8000;
  std::unique_ptr<FleetFeeds> feeds_;
};

TEST_F(FleetFeedsTest, ANameWithoutAnAddressKeepsNobodyElseWaiting) {
  resolver_.set("a.svc", {"10.0.0.1"});
  resolver_.set("b.svc", {});
  start({"10.0.0.9", "a.svc", "b.svc", "c.svc"});
  EXPECT_THAT(present(), ElementsAre("10.0.0.9")) << "start() waits for no name";
  EXPECT_FALSE(feeds_->settled());
  EXPECT_TRUE(happens([this] { return feeds_->settled(); }));
  EXPECT_THAT(present(), ElementsAre("10.0.0.9", "a.svc"));
  EXPECT_THAT(told_, ElementsAre("10.0.0.9 joined", "a.svc joined", "b.svc: it has no address",
                                 "c.svc: the resolver is away"));
  told_.clear();
  resolver_.set("c.svc", {"fd00::3", "10.0.0.3"});
  EXPECT_TRUE(happens([this] { return present().size() == 3; }));
  EXPECT_THAT(told_, ElementsAre("c.svc joined")) << "and nothing is told of b.svc again";
  EXPECT_EQ(address_text(feeds_->addresses().find("c.svc", 1).value()), "10.0.0.3");
}

TEST_F(FleetFeedsTest, AllNamesMayComeLater) {
  start({"a.svc", "b.svc"});
  EXPECT_THAT(present(), IsEmpty());
  resolver_.set("b.svc", {"10.0.0.2"});
  EXPECT_TRUE(happens([this] { return present().size() == 1; }));
  resolver_.set("a.svc", {"10.0.0.1"});
  EXPECT_TRUE(happens([this] { return present().size() == 2; }));
  told_.clear();
  resolver_.set("b.svc", {"10.0.0.5"});
  EXPECT_TRUE(happens([this] { return told_.size() == 3; }));
  EXPECT_THAT(told_, ElementsAre("b.svc is at 10.0.0.5", "b.svc left", "b.svc joined"));
}

TEST_F(FleetFeedsTest, WithoutChecksWhoeverJoinsIsToldToBeHealthyUntilItLeaves) {
  resolver_.set("a.svc", {"10.0.0.1"});
  start({"10.0.0.9", "a.svc"});
  EXPECT_TRUE(happens([this] { return present().size() == 2; }));
  EXPECT_THAT(health_, ElementsAre("10.0.0.9 healthy", "a.svc healthy"));
  health_.clear();
  resolver_.set("a.svc", {"10.0.0.2"});
  EXPECT_TRUE(happens([this] { return health_.size() == 2; }));
  EXPECT_THAT(health_, ElementsAre("a.svc unwatched", "a.svc healthy"));
}

TEST_F(FleetFeedsTest, OneThatJoinsLaterDoesNotUnsettleThem) {
  const Descriptor silent = listen_tcp("127.0.0.2", 0, false).value();
  port_ = local_port(silent);
  check_health_ = true;
  start({"127.0.0.1", "late.svc"});
  EXPECT_TRUE(happens([this] { return feeds_->settled(); })) << "nobody listens on the first";
  resolver_.set("late.svc", {"127.0.0.2"});
  EXPECT_TRUE(happens([this] { return present().size() == 2; }));
  EXPECT_TRUE(feeds_->settled()) << "it was not asked yet, and does not answer";
}

// A source from elsewhere, which tells what the test says.
class FleetOfChangesTest : public FleetFeedsTest {
 protected:
  FleetOfChangesTest() {
    FleetFeedsOptions options;
    options.check_health = false;
    options.endpoints_max = 4;
    options.discover = [this](Executor& executor, DiscoveryListener& listener) {
      EXPECT_EQ(&executor, loop_.get());
      listener_ = &listener;
      return std::make_unique<Source>(settled_);
    };
    EXPECT_EQ(options.slots(), 4u);
    feeds_ = std::make_unique<FleetFeeds>(*loop_, resolver_, fleet_, *this, std::move(options));
    EXPECT_TRUE(feeds_->start());
  }
  void on_endpoint_refused(const Endpoint& endpoint) override {
    told_.push_back(endpoint.name + " refused");
  }
  std::vector<std::string> told() { return std::exchange(told_, {}); }

  struct Source final : Discovery {
    explicit Source(const bool& settled) : settled_(settled) {}
    bool settled() const override { return settled_; }
    const bool& settled_;
  };
  bool settled_ = false;
  DiscoveryListener* listener_ = nullptr;
};

TEST_F(FleetOfChangesTest, AnotherSourceGivesAListAndThenWhatChanged) {
  EXPECT_FALSE(feeds_->settled());
  settled_ = true;
  EXPECT_TRUE(feeds_->settled());
  listener_->on_endpoints({endpoint("a"), endpoint("b")});
  EXPECT_THAT(told(), ElementsAre("a joined", "b joined"));
  listener_->on_endpoint_changes({{endpoint("c")}, {"a"}});
  EXPECT_THAT(told(), ElementsAre("a left", "c joined"));
  EXPECT_THAT(present(), ElementsAre("b", "c"));
  for (const EndpointState& state : fleet_.snapshot()->endpoints) {
    EXPECT_EQ(state.healthy, state.present) << "nobody checks them";
  }
}

TEST_F(FleetOfChangesTest, WhichFoundNoSlotGetsOneThatBecomesFree) {
  listener_->on_endpoints({endpoint("a"), endpoint("b"), endpoint("c"), endpoint("d"),
                           endpoint("e"), endpoint("f"), endpoint("g")});
  EXPECT_THAT(told(), ElementsAre("a joined", "b joined", "c joined", "d joined", "e refused",
                                  "f refused", "g refused"));
  listener_->on_endpoint_changes({{endpoint("h")}, {}});
  EXPECT_THAT(told(), ElementsAre("h refused"));
  listener_->on_endpoint_changes({{}, {"f"}});
  EXPECT_THAT(told(), IsEmpty()) << "it was not there";
  listener_->on_endpoint_changes({{endpoint("i")}, {"a", "b"}});
  EXPECT_THAT(told(), ElementsAre("a left", "b left", "e joined", "g joined", "i refused"));
  listener_->on_endpoint_changes({{}, {"c", "d"}});
  EXPECT_THAT(told(), ElementsAre("c left", "d left", "h joined", "i joined"));
  listener_->on_endpoint_changes({{}, {"e"}});
  EXPECT_THAT(told(), ElementsAre("e left")) << "nobody waits any more";
}

}  // namespace
}  // namespace kvasir

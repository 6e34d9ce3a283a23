#include "serving/pool.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/virtual_executor_fixture.h"
#include "net/io/event_loop.h"
#include "plugins/plugin_roster.h"
#include "serving/journey_fixture.h"
#include "serving/pool_thread.h"

namespace kvasir {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHead[] = "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n";

std::string config_of(const std::string& rest) { return kHead + rest; }

class RecordingPoolProbe final : public PoolProbe {
 public:
  void on_health_changed(const Endpoint&, bool) override {}
  void on_configuration_read(std::string_view error) override { readings.emplace_back(error); }
  void on_fewer_plugins(size_t before, size_t now) override { fewer.emplace_back(before, now); }
  void on_outcome(const Request&, int32_t, FlowOutcome outcome, Duration) override {
    outcomes.push_back(outcome);
  }

  std::vector<std::string> readings;
  std::vector<std::pair<size_t, size_t>> fewer;
  std::vector<FlowOutcome> outcomes;
};

// Pools on virtual time, without a network, of two endpoints that are healthy.
class PoolTest : public ::testing::Test {
 protected:
  PoolTest() {
    options_.feeds.endpoints = {{"a", "10.0.0.1", 8000, {}}, {"b", "10.0.0.2", 8000, {}}};
    options_.plugins.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
    options_.config_name = "test.yaml";
    options_.config = config_of("plugins: [{type: active-request-scorer}]\n");
  }

  Pool& pool() {
    if (!pool_) {
      pool_ = std::move(Pool::open(executor_, options_, probe_).value());
      pool_->fleet().replace_all(options_.feeds.endpoints);
      for (uint32_t i = 0; i < 2; ++i) pool_->fleet().set_healthy(EndpointId(i), true);
    }
    return *pool_;
  }
  // A request, started.
  std::unique_ptr<JourneyClient> come() {
    if (!thread_) thread_.emplace(pool(), executor_, 0);
    auto client = std::make_unique<JourneyClient>(*thread_);
    client->start();
    return client;
  }
  static bool idle(Scheduler& scheduler) {
    for (const SharedPart& part : scheduler.export_shared({})) {
      if (!part.loads.empty()) return false;
    }
    return true;
  }

  VirtualExecutor executor_;
  RecordingPoolProbe probe_;
  PoolOptions options_;
  std::unique_ptr<Pool> pool_;
  std::optional<PoolThread> thread_;
};

TEST_F(PoolTest, DecidesWithoutANetwork) {
  const auto first = come(), second = come();
  ASSERT_EQ(first->decided + second->decided, 2);
  EXPECT_NE(first->journey.endpoint(), second->journey.endpoint())
      << "the load of the first is booked";
}

TEST_F(PoolTest, ReconfiguresWithRequestsInFlight) {
  auto running = come();
  ASSERT_EQ(running->decided, 1);
  ASSERT_TRUE(pool().reconfigure(config_of("plugins: [{type: active-request-scorer, name: x}]\n")));
  EXPECT_THAT(probe_.readings, ElementsAre(""));
  running.reset();
  EXPECT_TRUE(idle(pool().scheduler()));
}

TEST_F(PoolTest, WhatCannotBeUsedChangesNothing) {
  const std::string before = pool().config().name;
  const auto parsers = pool().in_use().parsers;
  for (const std::string& text :
       {config_of("plugins: [{type: no-such}]\n"), std::string("{"), std::string(),
        std::string(kHead), config_of("plugins:\n")}) {
    EXPECT_FALSE(pool().reconfigure(text)) << text;
    EXPECT_EQ(pool().in_use().parsers, parsers);
    EXPECT_EQ(pool().config().plugins_named, 1u);
  }
  EXPECT_EQ(probe_.readings.size(), 5u);
  EXPECT_THAT(probe_.readings, Not(Contains("")));
  EXPECT_THAT(probe_.readings.back(), HasSubstr("test.yaml: it configures nothing"));
}

TEST_F(PoolTest, FileThatWasCutShortIsTold) {
  options_.config = config_of("plugins: [{type: active-request-scorer}, {type: queue-scorer}]\n");
  pool();
  EXPECT_TRUE(pool().reconfigure(config_of("plugins: [{type: queue-scorer}]\n")));
  EXPECT_THAT(probe_.fewer, ElementsAre(std::pair<size_t, size_t>(2, 1)));
  EXPECT_TRUE(pool().reconfigure(options_.config));
  EXPECT_EQ(probe_.fewer.size(), 1u);
}

TEST_F(PoolTest, FileThatSaysNothingIsTakenAtTheStart) {
  options_.config = kHead;
  EXPECT_THAT(pool().config().notes, Contains(HasSubstr("it configures nothing; the default")));
  EXPECT_TRUE(pool().reconfigure(config_of("plugins: [{type: queue-scorer}]\n")));
}

TEST_F(PoolTest, TheGateDecidesBetweenFlowControlAndShedding) {
  using Mode = AdmissionSettings::Mode;
  const std::string rest =
      "plugins: [{type: queue-scorer}, {type: concurrency-detector}]\n"
      "flowControl: {maxRequests: 7, saturationDetector: {pluginRef: concurrency-detector}}\n";
  options_.config = config_of(rest);
  EXPECT_EQ(pool().admission().mode(), Mode::kShedding);
  ASSERT_TRUE(pool().reconfigure(config_of("featureGates: [flowControl]\n" + rest)));
  EXPECT_EQ(pool().admission().mode(), Mode::kFlowControl);
  EXPECT_EQ(pool().admission().stats().requests_most, 7u);
  const Registry registry = plugin_registry({}).value();
  PoolConfig preset = compile_preset("kv", {}, registry, {options_.plugins}).value();
  ASSERT_TRUE(pool().reconfigure(std::move(preset)));
  EXPECT_EQ(pool().admission().mode(), Mode::kOpen) << "a preset refuses nobody";
}

TEST_F(PoolTest, EndpointsAreWhereTheConfigurationSays) {
  const auto discovery = [](const std::string& path) {
    return config_of("plugins: [{type: file-discovery, name: d, parameters: {path: " + path +
                     ", watchFile: false}}]\ndataLayer: {discovery: {pluginRef: d}}\n");
  };
  options_.config = discovery("/etc/one.yaml");
  options_.feeds.endpoints.clear();
  options_.endpoints_from_config = true;
  const Result<std::unique_ptr<Pool>> pool = Pool::open(executor_, options_, probe_);
  ASSERT_TRUE(pool) << pool.error().message;
  EXPECT_EQ((*pool)->options().feeds.endpoints_file, "/etc/one.yaml");
  EXPECT_EQ((*pool)->options().feeds.file_interval, Duration::zero());
  EXPECT_EQ((*pool)->fleet().size(), options_.feeds.endpoints_max);
  EXPECT_FALSE((*pool)->reconfigure(discovery("/etc/other.yaml")));
  EXPECT_THAT(probe_.readings.back(), HasSubstr("that takes a restart"));
  EXPECT_TRUE((*pool)->reconfigure(discovery("/etc/one.yaml")));
}

TEST_F(PoolTest, SomebodyHasToSayWhereTheEndpointsAre) {
  options_.endpoints_from_config = true;
  options_.no_endpoints = "say where they are";
  const Result<std::unique_ptr<Pool>> pool = Pool::open(executor_, options_, probe_);
  ASSERT_FALSE(pool);
  EXPECT_EQ(pool.error().message, "say where they are");
}

TEST_F(PoolTest, DiscoveryThatAFlagOverridesIsTold) {
  options_.config = config_of(
      "plugins: [{type: file-discovery, name: d, parameters: {path: /etc/one.yaml}}]\n"
      "dataLayer: {discovery: {pluginRef: d}}\n");
  EXPECT_THAT(pool().config().notes, Contains(HasSubstr("dataLayer.discovery is not used")));
}

TEST_F(PoolTest, ConfigurationDecidesWhoWaits) {
  options_.preset.hold = true;
  const Result<std::unique_ptr<Pool>> pool = Pool::open(executor_, options_, probe_);
  ASSERT_FALSE(pool);
  EXPECT_THAT(pool.error().message, HasSubstr("--hold: the configuration decides who waits"));
}

TEST_F(PoolTest, PresetRunsAtTheSpeedOfItsModel) {
  options_.policy = "kv";
  options_.time_scale = 4;
  const TimePoint start = pool().clock().now();
  executor_.run_until(executor_.now() + std::chrono::seconds(1));
  EXPECT_EQ(pool().clock().now() - start, std::chrono::seconds(4));
  EXPECT_FALSE(pool().reconfigure(config_of("plugins: [{type: queue-scorer}]\n")))
      << "whose times are real";
}

// Who is held is answered as soon as nobody is held any more, and keeps no booking.
TEST_F(PoolTest, DrainAnswersWhoIsHeld) {
  options_.config = config_of(
      "featureGates: [flowControl]\nplugins: [{type: active-request-scorer},\n"
      "  {type: concurrency-detector, parameters: {maxConcurrency: 1}}]\n"
      "saturationDetector: {pluginRef: concurrency-detector}\n");
  std::vector<std::unique_ptr<JourneyClient>> clients;
  for (int i = 0; i < 4; ++i) clients.push_back(come());
  const auto pass = [this] {
    executor_.run_until(executor_.now() + std::chrono::milliseconds(100));
  };
  pass();
  const auto held = [&] {
    return std::count_if(clients.begin(), clients.end(), [](const auto& client) {
      return client->decided == 0 && client->refusals.empty();
    });
  };
  ASSERT_EQ(held(), 2);
  EXPECT_EQ(pool().stats().flow.requests, 2u);
  EXPECT_TRUE(pool().stats().flow_control);
  pool().drain();
  pass();
  EXPECT_EQ(held(), 0);
  EXPECT_THAT(probe_.outcomes, ::testing::Contains(FlowOutcome::kShuttingDown).Times(2));
  EXPECT_EQ(pool().stats().flow.requests, 0u);
  clients.clear();
  EXPECT_TRUE(idle(pool().scheduler()));
}

TEST_F(PoolTest, ThreadSeesTheConfigurationInUse) {
  PoolThread thread(pool(), executor_, 0);
  const std::shared_ptr<const RequestParsers> before = thread.parsers();
  EXPECT_EQ(thread.parsers(), before);
  EXPECT_EQ(thread.remote_services(), nullptr);
  EXPECT_FALSE(pool().reconfigure(config_of("plugins: [{type: no-such}]\n")));
  EXPECT_EQ(thread.parsers(), before);
  EXPECT_TRUE(pool().reconfigure(config_of("plugins: [{type: queue-scorer}]\n")));
  EXPECT_NE(thread.parsers(), before);
}

// With a network, and nothing in it.
class FedPoolTest : public PoolTest {
 protected:
  FedPoolTest() {
    options_.feeds.check_health = false;
    options_.plugins.allow_alpha = true;
  }
  ~FedPoolTest() override { pool_.reset(); }  // before the loop on which it lives
  void open() {
    pool_ = std::move(Pool::open(*loop_, options_, probe_).value());
    ASSERT_TRUE(pool_->feed(*loop_));
  }
  void run_until(const std::function<bool()>& holds) {
    while (!holds()) {
      loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
    }
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
};

TEST_F(FedPoolTest, FollowsTheFileOfItsConfiguration) {
  const std::string path = ::testing::TempDir() + "pool-" + std::to_string(getpid()) + ".yaml";
  const auto write = [&](const std::string& text) { std::ofstream(path) << text; };
  write(options_.config);
  options_.config_file = options_.config_name = path;
  options_.config_interval = std::chrono::milliseconds(1);
  open();
  write(config_of("plugins: [{type: queue-scorer}, {type: active-request-scorer}]\n"));
  run_until([&] { return probe_.readings.size() == 1; });
  EXPECT_THAT(probe_.readings, ElementsAre(""));
  EXPECT_EQ(pool_->config().plugins_named, 2u);
  write("");
  run_until([&] { return probe_.readings.size() == 2; });
  EXPECT_THAT(probe_.readings.back(), HasSubstr("it configures nothing"));
  EXPECT_EQ(pool_->config().plugins_named, 2u);
  unlink(path.c_str());
}

TEST_F(FedPoolTest, AsksWhomTheConfigurationInUseNames) {
  open();
  PoolThread thread(*pool_, *loop_, 0);
  EXPECT_EQ(thread.remote_services(), nullptr);
  ASSERT_TRUE(pool_->reconfigure(config_of(
      "plugins: [{type: seed-kv-cache-manager-scorer, name: kv,\n"
      "  parameters: {endpoint: 'http://127.0.0.1:9'}}]\n")));
  run_until([&] { return thread.remote_services() != nullptr; });
  ASSERT_EQ(thread.remote_services()->size(), 1u);
  EXPECT_EQ(thread.remote_services()->front().source.plugin, "kv");
  ASSERT_TRUE(pool_->reconfigure(options_.config));
  EXPECT_EQ(thread.remote_services(), nullptr);
}

TEST_F(PoolTest, NoTwoThreadsGiveOutTheSameRequestId) {
  PoolThread first(pool(), executor_, 0), beyond(pool(), executor_, 256),
      last(pool(), executor_, PoolThread::kThreadsMost - 1);
  std::set<RequestId> ids;
  for (int i = 0; i < 3; ++i) {
    for (PoolThread* thread : {&first, &beyond, &last}) ids.insert(thread->next_request_id());
  }
  EXPECT_EQ(ids.size(), 9u);
}

}  // namespace
}  // namespace kvasir

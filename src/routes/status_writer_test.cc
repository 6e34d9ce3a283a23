// On virtual time, against a scripted API server.
#include "routes/status_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/virtual_executor_fixture.h"
#include "kube/reflector.h"
#include "kube/scripted_api_fronts_fixture.h"
#include "routes/route_feed.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds, std::chrono::seconds;
using ::testing::ElementsAre, ::testing::HasSubstr, ::testing::IsEmpty, ::testing::SizeIs;
using Json = nlohmann::json;

constexpr const char* kGatewayVersion = "gateway.networking.k8s.io/v1";
constexpr const char* kPoolVersion = "inference.networking.k8s.io/v1";
constexpr const char* kOurs = "kvasir.dev/gateway";

class WallTime final : public Clock {
 public:
  explicit WallTime(const Executor& executor) : executor_(executor) {}
  // 2026-01-31T08:00:00Z and on.
  TimePoint now() const override { return executor_.now() + seconds(1'769'846'400); }

 private:
  const Executor& executor_;
};

// One replica: its store, what it makes of the objects, and its writer.
struct Replica {
  Replica(VirtualExecutor& executor, ScriptedApiServer& server, const Clock& wall)
      : api(executor, server),
        writer(executor, api, store, wall, {}, random,
               [this](const KubeType&, const ObjectKey& key, const KubeStatus&,
                      const std::string& why) { troubles.push_back(to_string(key) + ": " + why); }),
        feed(
            store, [](const KubeGateway& gateway) { return gateway.class_name == "kvasir"; },
            [this](const auto&) { say(); }) {
    for (const KubeKind kind : {KubeKind::kGatewayClass, KubeKind::kGateway, KubeKind::kHTTPRoute,
                                KubeKind::kInferencePool, KubeKind::kService}) {
      reflectors.push_back(std::make_unique<Reflector>(executor, api, store, kube_type(kind),
                                                       ReflectorOptions(), random, probe));
    }
  }

  void say() { writer.set_statuses(object_statuses(feed.current()->routes, store, options)); }

  StatusOptions options;
  Random random{7};
  ObjectStore store;
  ScriptedKubeApi api;
  std::vector<std::string> troubles;
  StatusWriter writer;
  RouteFeed feed;
  ReflectorProbe probe;
  std::vector<std::unique_ptr<Reflector>> reflectors;
};

class StatusWriterTest : public ::testing::Test {
 protected:
  StatusWriterTest() {
    server_.put(R"({"apiVersion":"gateway.networking.k8s.io/v1","kind":"GatewayClass",
        "metadata":{"name":"kvasir","generation":1},"spec":{"controllerName":"kvasir.dev/gateway"}})");
    server_.put(R"({"apiVersion":"gateway.networking.k8s.io/v1","kind":"Gateway",
        "metadata":{"name":"gw","namespace":"default","generation":3},"spec":{"gatewayClassName":"kvasir",
        "listeners":[{"name":"http","port":80,"protocol":"HTTP"}]}})");
    server_.put(R"({"apiVersion":"inference.networking.k8s.io/v1","kind":"InferencePool",
        "metadata":{"name":"pool","namespace":"default","generation":1},
        "spec":{"selector":{"matchLabels":{"app":"vllm"}},"targetPorts":[{"number":8000}],
        "endpointPickerRef":{"name":"epp","port":{"number":9002}}}})");
    server_.put(route("pool"));
  }

  static Json route(const std::string& pool, int generation = 2) {
    Json route = Json::parse(R"({"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute",
        "metadata":{"name":"r","namespace":"default"},"spec":{"parentRefs":[{"name":"gw"}],
        "rules":[{"backendRefs":[{"group":"inference.networking.k8s.io","kind":"InferencePool"}]}]}})");
    route["metadata"]["generation"] = generation;
    route["spec"]["rules"][0]["backendRefs"][0]["name"] = pool;
    return route;
  }

  std::unique_ptr<Replica> replica(bool leads = true) {
    auto made = std::make_unique<Replica>(executor_, server_, wall_);
    made->writer.set_leading(leads);
    return made;
  }
  void pass(Duration time) { executor_.run_until(executor_.now() + time); }

  Json status(const std::string& version, const std::string& kind, const std::string& name) {
    const Json object = server_.get(version, kind, name, kind == "GatewayClass" ? "" : "default");
    return object.value("status", Json::object());
  }
  Json parents_of_route() {
    return status(kGatewayVersion, "HTTPRoute", "r").value("parents", Json::array());
  }
  static std::string condition(const Json& of, const std::string& type) {
    for (const Json& one : of.at("conditions")) {
      if (one.at("type") == type) {
        return one.at("status").get<std::string>() + " " + one.at("reason").get<std::string>();
      }
    }
    return "";
  }
  size_t writes() const { return server_.requests_of("PUT "); }

  VirtualExecutor executor_;
  WallTime wall_{executor_};
  ScriptedApiServer server_;
};

TEST_F(StatusWriterTest, EveryKindSaysWhatHolds) {
  auto ours = replica();
  pass(seconds(1));
  EXPECT_EQ(condition(status(kGatewayVersion, "GatewayClass", "kvasir"), "Accepted"),
            "True Accepted");
  const Json gateway = status(kGatewayVersion, "Gateway", "gw");
  EXPECT_EQ(condition(gateway, "Programmed"), "True Programmed");
  EXPECT_EQ(gateway["conditions"][0]["observedGeneration"], 3);
  EXPECT_EQ(gateway["listeners"][0]["name"], "http");
  EXPECT_EQ(gateway["listeners"][0]["attachedRoutes"], 1);
  EXPECT_FALSE(gateway.contains("addresses")) << "nobody said which";
  const Json parents = parents_of_route();
  ASSERT_THAT(parents, SizeIs(1));
  EXPECT_EQ(parents[0]["controllerName"], kOurs);
  EXPECT_EQ(parents[0]["parentRef"]["name"], "gw");
  EXPECT_EQ(condition(parents[0], "Accepted"), "True Accepted");
  EXPECT_EQ(parents[0]["conditions"][0]["observedGeneration"], 2);
  EXPECT_THAT(parents[0]["conditions"][0]["lastTransitionTime"].get<std::string>(),
              ::testing::MatchesRegex("2026-01-31T08:00:0.Z"));
  const Json pool = status(kPoolVersion, "InferencePool", "pool");
  ASSERT_THAT(pool["parents"], SizeIs(1));
  EXPECT_EQ(pool["parents"][0]["parentRef"]["name"], "gw");
  EXPECT_EQ(condition(pool["parents"][0], "Accepted"), "True Accepted");
  EXPECT_EQ(server_.get(kPoolVersion, "InferencePool", "pool")["spec"]["targetPorts"][0]["number"],
            8000)
      << "the rest of the object is as it was";
  EXPECT_EQ(ours->writer.unwritten(), 0u);
  EXPECT_THAT(ours->troubles, IsEmpty());
}

TEST_F(StatusWriterTest, NothingIsWrittenTwice) {
  auto ours = replica();
  pass(seconds(10));
  const size_t before = writes();
  EXPECT_EQ(before, 4u);
  ours->say();
  server_.put(R"({"apiVersion":"v1","kind":"Service","metadata":{"name":"s","namespace":"default"},
                  "spec":{"ports":[{"port":80}]}})");
  pass(seconds(10));
  EXPECT_EQ(writes(), before);
  auto later = replica();
  pass(seconds(10));
  EXPECT_EQ(writes(), before) << "another replica finds it written";
}

TEST_F(StatusWriterTest, OnlyTheLeaderWrites) {
  auto ours = replica(false);
  pass(seconds(10));
  EXPECT_EQ(writes(), 0u);
  ours->writer.set_leading(true);
  pass(seconds(1));
  EXPECT_EQ(writes(), 4u);
  ours->writer.set_leading(false);
  server_.put(route("missing", 3));
  pass(seconds(10));
  EXPECT_EQ(writes(), 4u);
}

TEST_F(StatusWriterTest, WhatOthersSayStaysWhereItIs) {
  Json written = route("pool");
  written["status"]["parents"] = Json::parse(
      R"([{"parentRef":{"name":"gw"},"controllerName":"kvasir.dev/gateway","conditions":[]},
          {"parentRef":{"name":"theirs"},"controllerName":"example.com/other","conditions":[]},
          {"parentRef":{"name":"left"},"controllerName":"kvasir.dev/gateway","conditions":[]}])");
  server_.put(written);
  auto ours = replica();
  pass(seconds(1));
  const Json parents = parents_of_route();
  ASSERT_THAT(parents, SizeIs(2));
  EXPECT_EQ(parents[0]["parentRef"]["name"], "gw");
  EXPECT_EQ(condition(parents[0], "Accepted"), "True Accepted");
  EXPECT_EQ(parents[1]["controllerName"], "example.com/other");
}

TEST_F(StatusWriterTest, ATransitionHasItsTimeAndTheOthersKeepTheirs) {
  auto ours = replica();
  pass(seconds(1));
  const Json before = parents_of_route()[0];
  pass(seconds(60));
  Json changed = server_.get(kGatewayVersion, "HTTPRoute", "r");
  changed["metadata"]["generation"] = 3;
  changed["spec"]["rules"][0]["backendRefs"][0]["name"] = "missing";
  server_.put(changed);
  pass(seconds(1));
  const Json after = parents_of_route()[0];
  EXPECT_EQ(condition(after, "ResolvedRefs"), "False BackendNotFound");
  EXPECT_EQ(after["conditions"][0]["observedGeneration"], 3);
  EXPECT_EQ(after["conditions"][0]["lastTransitionTime"],
            before["conditions"][0]["lastTransitionTime"]);
  EXPECT_NE(after["conditions"][1]["lastTransitionTime"],
            before["conditions"][1]["lastTransitionTime"]);
  EXPECT_THAT(status(kPoolVersion, "InferencePool", "pool")["parents"], SizeIs(0))
      << "no rule names it any more";
}

TEST_F(StatusWriterTest, WhatSomebodyWroteOverIsWrittenAgain) {
  auto ours = replica();
  pass(seconds(1));
  Json emptied = server_.get(kGatewayVersion, "HTTPRoute", "r");
  emptied["status"]["parents"] = Json::array();
  server_.put(emptied);
  pass(seconds(1));
  EXPECT_THAT(parents_of_route(), SizeIs(1));
}

TEST_F(StatusWriterTest, AConflictIsTriedAgainAndNotTold) {
  server_.script({.what = ScriptedStep::Do::kStatus,
                  .fits = "PUT /apis/gateway",
                  .code = 409,
                  .reason = "Conflict",
                  .message = "modified",
                  .times = 3});
  auto ours = replica();
  pass(seconds(20));
  EXPECT_THAT(parents_of_route(), SizeIs(1));
  EXPECT_EQ(ours->writer.unwritten(), 0u);
  EXPECT_THAT(ours->troubles, IsEmpty());
}

TEST_F(StatusWriterTest, WhatMayNotBeWrittenIsToldOnceAndHoldsNobodyUp) {
  server_.script({.what = ScriptedStep::Do::kStatus,
                  .fits = "PUT /apis/gateway.networking.k8s.io/v1/namespaces/default/gateways/gw",
                  .code = 403,
                  .reason = "Forbidden",
                  .message = "gateways is forbidden",
                  .times = 1000});
  auto ours = replica();
  pass(seconds(120));
  EXPECT_THAT(parents_of_route(), SizeIs(1));
  EXPECT_THAT(ours->troubles, ElementsAre("default/gw: gateways is forbidden"));
  EXPECT_EQ(ours->writer.unwritten(), 1u);
  EXPECT_LT(server_.requests_of("gateways/gw/status"), 14u) << "the pause grows";
  server_.clear_script();
  pass(std::chrono::minutes(2));
  EXPECT_EQ(ours->writer.unwritten(), 0u);
}

TEST_F(StatusWriterTest, AServerThatDropsTheControllersNameIsNotWrittenToForEver) {
  Json pool = server_.get(kPoolVersion, "InferencePool", "pool");
  auto ours = replica();
  pass(seconds(1));
  pool = server_.get(kPoolVersion, "InferencePool", "pool");
  pool["status"]["parents"][0].erase("controllerName");
  server_.put(pool);
  const size_t before = writes();
  pass(seconds(10));
  EXPECT_EQ(writes(), before);
}

TEST_F(StatusWriterTest, AddressesAreWrittenWhereTheyAreSaid) {
  auto ours = replica(false);
  ours->options.addresses = {"203.0.113.7", "2001:db8::1", "llm.example.com"};
  ours->writer.set_leading(true);
  pass(seconds(1));
  EXPECT_EQ(status(kGatewayVersion, "Gateway", "gw")["addresses"],
            Json::parse(R"([{"type":"IPAddress","value":"203.0.113.7"},
                            {"type":"IPAddress","value":"2001:db8::1"},
                            {"type":"Hostname","value":"llm.example.com"}])"));
}

TEST_F(StatusWriterTest, AGatewayOfAnotherClassIsNotOurs) {
  server_.put(R"({"apiVersion":"gateway.networking.k8s.io/v1","kind":"Gateway",
      "metadata":{"name":"gw","namespace":"default","generation":3},"spec":{"gatewayClassName":"other",
      "listeners":[{"name":"http","port":80,"protocol":"HTTP"}]}})");
  auto ours = replica();
  pass(seconds(1));
  EXPECT_TRUE(status(kGatewayVersion, "Gateway", "gw").empty());
  EXPECT_THAT(parents_of_route(), IsEmpty());
}

}  // namespace
}  // namespace kvasir

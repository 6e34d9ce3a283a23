// One gateway, several InferencePools: their endpoints, priorities and rewrites come from the
// objects beside the routes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "leased_port.h"
#include "program.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

constexpr const char* kPools = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw}
spec: {gatewayClassName: kvasir, listeners: [{name: http, port: 80, protocol: HTTP}]}
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: small}
spec: {selector: {matchLabels: {app: small}}, targetPorts: [{number: SMALL_PORT}], endpointPickerRef: {name: none, port: {number: 9002}}}
---
apiVersion: serving.kserve.io/v1alpha1
kind: InferencePool
metadata: {name: large}
spec: {selector: {matchLabels: {app: large}}, targetPorts: [{number: LARGE_PORT}]}
---
apiVersion: llm-d.ai/v1alpha2
kind: InferenceModelRewrite
metadata: {name: alias}
spec:
  poolRef: {name: large, group: serving.kserve.io}
  rules: [{matches: [{model: {value: alias}}], targets: [{modelRewrite: large-model, weight: 1}]}]
---
)";

constexpr const char* kRoutes = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: models}
spec:
  parentRefs: [{name: gw}]
  rules:
  - matches: [{headers: [{name: x-model, value: large}]}]
    backendRefs: [{group: serving.kserve.io, kind: InferencePool, name: large}]
  - backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: small}]
)";

constexpr const char* kOnlySmall = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: models}
spec:
  parentRefs: [{name: gw}]
  rules:
  - backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: small}]
)";

std::string pod(const std::string& name, const std::string& app, bool ready = true) {
  return "apiVersion: v1\nkind: Pod\nmetadata: {name: " + name + ", labels: {app: " + app +
         "}}\nspec: {}\nstatus: {phase: Running, podIP: 127.0.0.1, conditions: [{type: Ready, "
         "status: \"" +
         (ready ? "True" : "False") + "\"}]}\n---\n";
}

class RoutePools : public testing::Test {
 protected:
  RoutePools() {
    std::string name = (fs::temp_directory_path() / "route-pools-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    fs::create_directory(folder_ / "routes");
    write("pools.yaml", filled(kPools));
    write("pods.yaml", pod("s", "small") + pod("l", "large"));
    write("routes.yaml", kRoutes);
  }
  ~RoutePools() override { fs::remove_all(folder_); }

  std::string filled(std::string text) const {
    for (const auto& [word, port] :
         {std::pair("SMALL_PORT", small_port_), std::pair("LARGE_PORT", large_port_)}) {
      const size_t at = text.find(word);
      text.replace(at, std::string(word).size(), std::to_string(port));
    }
    return text;
  }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(folder_ / (name + ".new")) << text;
    fs::rename(folder_ / (name + ".new"), folder_ / "routes" / name);
  }

  std::unique_ptr<Program> start_worker(uint16_t port, const std::string& model) {
    return std::make_unique<Program>(
        std::vector<std::string>{"worker", "--host", "127.0.0.1", "--port", std::to_string(port),
                                 "--served-model-name", model, "--time-scale", "100"});
  }
  std::unique_ptr<Program> start_gateway(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {
        "gateway",   "--port", std::to_string(port_), "--routes", (folder_ / "routes").string(),
        "--threads", "2"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<Program>(arguments);
  }

  std::string get(const std::string& target, const std::string& fields = "") const {
    return ask(port_,
               "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields + "\r\n");
  }
  std::string complete(const std::string& model, const std::string& fields = "") const {
    const std::string body =
        "{\"model\":\"" + model + "\",\"prompt\":\"one two\",\"max_tokens\":2}";
    return ask(port_, "POST /v1/completions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n" + fields +
                          "Content-Type: application/json\r\nContent-Length: " +
                          std::to_string(body.size()) + "\r\n\r\n" + body);
  }
  bool comes_to_be(const std::function<bool()>& so) const {
    const TimePoint end = SteadyClock().now() + std::chrono::seconds(30);
    while (SteadyClock().now() < end) {
      if (so()) return true;
      usleep(20'000);
    }
    return false;
  }
  bool is_ready() const {
    return comes_to_be([&] { return get("/readyz").rfind("HTTP/1.1 200", 0) == 0; });
  }

  fs::path folder_;
  const uint16_t port_ = leased_port(), small_port_ = leased_port(), large_port_ = leased_port();
};

TEST_F(RoutePools, EachHasTheEndpointsAndRewritesOfItsObjects) {
  const auto small = start_worker(small_port_, "small-model");
  const auto large = start_worker(large_port_, "large-model");
  const auto gateway = start_gateway();
  ASSERT_TRUE(comes_to_be([&] { return complete("small-model").rfind("HTTP/1.1 200", 0) == 0; }))
      << gateway->output();
  ASSERT_TRUE(is_ready());
  EXPECT_THAT(complete("small-model"), HasSubstr("x-selected-pod: default/s-rank-0"));
  ASSERT_TRUE(comes_to_be(
      [&] { return complete("large-model", "x-model: large\r\n").rfind("HTTP/1.1 200", 0) == 0; }));
  EXPECT_THAT(complete("alias", "x-model: large\r\n"),
              AllOf(StartsWith("HTTP/1.1 200"), HasSubstr("x-selected-pod: default/l-rank-0"),
                    HasSubstr("\"model\":\"alias\"")));
  EXPECT_THAT(complete("alias"), StartsWith("HTTP/1.1 404")) << "the other pool has no such rule";
  EXPECT_THAT(get("/v1/models"), HasSubstr("small-model"));
  EXPECT_THAT(get("/v1/models", "x-model: large\r\n"), HasSubstr("large-model"));
  const std::string page = get("/metrics");
  EXPECT_THAT(page,
              HasSubstr("kvasir_gateway_upstream_requests_total{endpoint=\"default/l-rank-0\","
                        "pool=\"default/large\"}"));
  EXPECT_THAT(page, HasSubstr("kvasir_gateway_requests_total{code=\"200\",policy=\"kv\","
                              "pool=\"default/small\"}"));
  gateway->signal(SIGTERM);
  EXPECT_EQ(gateway->wait(), 0);
}

TEST_F(RoutePools, PodsAndRoutesThatChangeCountFromThenOn) {
  const auto small = start_worker(small_port_, "small-model");
  const auto large = start_worker(large_port_, "large-model");
  const auto gateway = start_gateway();
  const auto answers = [&](const std::string& fields, const std::string& status) {
    return comes_to_be(
        [&] { return complete("large-model", fields).rfind("HTTP/1.1 " + status, 0) == 0; });
  };
  ASSERT_TRUE(answers("x-model: large\r\n", "200")) << gateway->output();
  write("pods.yaml", pod("s", "small") + pod("l", "large", false));
  EXPECT_TRUE(answers("x-model: large\r\n", "503")) << "its only pod is not ready";
  write("pods.yaml", pod("s", "small") + pod("l", "large"));
  EXPECT_TRUE(answers("x-model: large\r\n", "200"));
  write("routes.yaml", kOnlySmall);
  EXPECT_TRUE(answers("x-model: large\r\n", "404")) << "small has no such model";
  EXPECT_TRUE(gateway->comes_to_say("no rule names InferencePool default/large any more"));
  EXPECT_THAT(complete("small-model"), StartsWith("HTTP/1.1 200"));
  EXPECT_TRUE(comes_to_be(
      [&] { return gateway->output().find("default/l-rank-0 is healthy") != std::string::npos; }));
  write("routes.yaml", kRoutes);
  EXPECT_TRUE(answers("x-model: large\r\n", "200")) << "it comes back";
}

TEST_F(RoutePools, APoolMayHaveAConfigurationOfItsOwn) {
  std::ofstream(folder_ / "picker.yaml")
      << "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n"
         "- type: queue-scorer\n- type: max-score-picker\nschedulingProfiles:\n- name: default\n"
         "  plugins:\n  - pluginRef: queue-scorer\n  - pluginRef: max-score-picker\n";
  const auto small = start_worker(small_port_, "small-model");
  const auto gateway =
      start_gateway({"--pool-config", "default/small=" + (folder_ / "picker.yaml").string()});
  ASSERT_TRUE(gateway->comes_to_say("InferencePool default/small is served, policy config"))
      << gateway->output();
  EXPECT_TRUE(gateway->comes_to_say("InferencePool default/large is served, policy kv"));
  EXPECT_TRUE(comes_to_be([&] { return complete("small-model").rfind("HTTP/1.1 200", 0) == 0; }));
}

TEST_F(RoutePools, WhatIsContradictoryDoesNotStart) {
  const auto refusal = [&](const std::vector<std::string>& more) {
    const auto gateway = start_gateway(more);
    EXPECT_EQ(gateway->wait(), 2);
    return gateway->output();
  };
  EXPECT_THAT(refusal({"--worker-urls", "http://127.0.0.1:1"}),
              HasSubstr("the rules name the InferencePools default/large and default/small"));
  EXPECT_THAT(refusal({"--pool-config", "small=picker.yaml"}),
              HasSubstr("--pool-config: 'small=picker.yaml' is not NAMESPACE/NAME=FILE"));
  EXPECT_THAT(refusal({"--pool-config", "default/small=" + (folder_ / "missing.yaml").string()}),
              AllOf(HasSubstr("InferencePool default/small"), HasSubstr("missing.yaml")));
}

TEST_F(RoutePools, TheWorkersOfTheFlagsAreTheOnlyPool) {
  write("routes.yaml", kOnlySmall);
  write("pods.yaml", pod("s", "small", false));
  const auto small = start_worker(small_port_, "small-model");
  const auto gateway =
      start_gateway({"--worker-urls", "http://127.0.0.1:" + std::to_string(small_port_)});
  ASSERT_TRUE(comes_to_be([&] { return complete("small-model").rfind("HTTP/1.1 200", 0) == 0; }))
      << gateway->output();
  EXPECT_THAT(get("/metrics"), Not(HasSubstr("pool=\"")));
}

}  // namespace
}  // namespace kvasir

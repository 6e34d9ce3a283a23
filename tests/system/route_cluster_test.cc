// The gateway with its routes, pools and endpoints from an API server, which is scripted, and with
// the conditions that it writes there.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <csignal>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "kube/scripted_api_fronts_fixture.h"
#include "leased_port.h"
#include "program.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr const char* kGatewayApi = "gateway.networking.k8s.io/v1";

// The server has a loop on a thread of its own.
class ClusterRoutes : public testing::Test {
 protected:
  ClusterRoutes() {
    std::string name = (fs::temp_directory_path() / "cluster-routes-XXXXXX").string();
    folder_ = mkdtemp(name.data());
    std::ofstream(folder_ / "kubeconfig")
        << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
           "contexts: [{name: c, context: {cluster: c, user: u, namespace: gateways}}]\n"
           "clusters: [{name: c, cluster: {server: \"http://127.0.0.1:"
        << api_.port() << "\"}}]\nusers: [{name: u, user: {token: t}}]\n";
    put(R"({"apiVersion":"gateway.networking.k8s.io/v1","kind":"GatewayClass",
        "metadata":{"name":"kvasir"},"spec":{"controllerName":"kvasir.dev/gateway"}})");
    put(R"({"apiVersion":"gateway.networking.k8s.io/v1","kind":"Gateway",
        "metadata":{"name":"gw","namespace":"models"},"spec":{"gatewayClassName":"kvasir",
        "listeners":[{"name":"http","port":80,"protocol":"HTTP"}]}})");
    put(R"({"apiVersion":"gateway.networking.k8s.io/v1","kind":"HTTPRoute",
        "metadata":{"name":"r","namespace":"models"},"spec":{"parentRefs":[{"name":"gw"}],
        "rules":[{"backendRefs":[{"group":"inference.networking.k8s.io","kind":"InferencePool",
        "name":"vllm"}]}]}})");
    put(Json({{"apiVersion", "inference.networking.k8s.io/v1"},
              {"kind", "InferencePool"},
              {"metadata", {{"name", "vllm"}, {"namespace", "models"}}},
              {"spec",
               {{"selector", {{"matchLabels", {{"app", "vllm"}}}}},
                {"targetPorts", {{{"number", worker_port_}}}},
                {"endpointPickerRef", {{"name", "epp"}, {"port", {{"number", 9002}}}}}}}})
            .dump());
    put(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"w","namespace":"models",
        "labels":{"app":"vllm"}},"spec":{},"status":{"phase":"Running","podIP":"127.0.0.1",
        "conditions":[{"type":"Ready","status":"True"}]}})");
    thread_ = std::thread([this] { loop_->run(); });
  }
  ~ClusterRoutes() override {
    loop_->stop();
    thread_.join();
    fs::remove_all(folder_);
  }

  void put(const std::string& json) { server_.put(Json::parse(json)); }
  // On the server's thread, once it runs.
  template <class Work>
  auto at_server(Work work) {
    std::promise<decltype(work())> done;
    loop_->post([&] { done.set_value(work()); });
    return done.get_future().get();
  }

  std::unique_ptr<Program> start_gateway(const std::vector<std::string>& more = {}) {
    std::vector<std::string> arguments = {"gateway",
                                          "--port",
                                          std::to_string(port_),
                                          "--routes-from-cluster",
                                          "--kubeconfig",
                                          (folder_ / "kubeconfig").string(),
                                          "--threads",
                                          "2",
                                          "--drain-delay",
                                          "0"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return std::make_unique<Program>(arguments);
  }
  std::string get(const std::string& target) const {
    return ask(port_, "GET " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
  }
  bool comes_to_be(const std::function<bool()>& so) const {
    const TimePoint end = SteadyClock().now() + std::chrono::seconds(30);
    while (SteadyClock().now() < end) {
      if (so()) return true;
      usleep(20'000);
    }
    return false;
  }
  bool comes_to_answer(const std::string& target, const std::string& status) const {
    return comes_to_be([&] { return get(target).rfind("HTTP/1.1 " + status, 0) == 0; });
  }
  std::string condition(const std::string& kind, const std::string& name, const std::string& type) {
    return at_server([&]() -> std::string {
      const Json object =
          server_.get(kGatewayApi, kind, name, kind == "GatewayClass" ? "" : "models");
      const Json status = object.value("status", Json::object());
      Json conditions = status.value("conditions", Json::array());
      if (kind == "HTTPRoute") {
        const Json parents = status.value("parents", Json::array());
        conditions = parents.empty() ? Json::array() : parents[0]["conditions"];
      }
      for (const Json& one : conditions) {
        if (one["type"] == type) return one["status"].get<std::string>();
      }
      return "";
    });
  }

  fs::path folder_;
  const uint16_t port_ = leased_port(), worker_port_ = leased_port();
  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  ScriptedApiServer server_;
  ScriptedHttpApi api_{*loop_, server_};
  std::thread thread_;
};

TEST_F(ClusterRoutes, RequestsGoWhereTheObjectsSayAndTheObjectsSayHowItWent) {
  Program worker({"worker", "--host", "127.0.0.1", "--port", std::to_string(worker_port_)});
  const auto gateway = start_gateway({"--gateway-address", "203.0.113.7"});
  ASSERT_TRUE(comes_to_answer("/v1/models", "200")) << gateway->output();
  EXPECT_TRUE(comes_to_answer("/readyz", "200"));
  EXPECT_TRUE(comes_to_be([&] { return condition("HTTPRoute", "r", "ResolvedRefs") == "True"; }))
      << gateway->output();
  EXPECT_TRUE(comes_to_be([&] { return condition("Gateway", "gw", "Programmed") == "True"; }));
  EXPECT_TRUE(
      comes_to_be([&] { return condition("GatewayClass", "kvasir", "Accepted") == "True"; }));
  EXPECT_EQ(at_server([&] {
              return server_.get(kGatewayApi, "Gateway", "gw", "models")["status"]["addresses"];
            }),
            Json::parse(R"([{"type":"IPAddress","value":"203.0.113.7"}])"));
  at_server([&] {
    Json route = server_.get(kGatewayApi, "HTTPRoute", "r", "models");
    route["spec"]["rules"][0]["backendRefs"][0]["name"] = "missing";
    server_.put(route);
    return true;
  });
  EXPECT_TRUE(comes_to_answer("/v1/models", "500")) << "there is no such pool";
  EXPECT_TRUE(comes_to_be([&] { return condition("HTTPRoute", "r", "ResolvedRefs") == "False"; }));
  EXPECT_THAT(get("/metrics"), HasSubstr("kvasir_kube_objects"));
  gateway->signal(SIGTERM);
  EXPECT_EQ(gateway->wait(), 0);
}

TEST_F(ClusterRoutes, AGatewayOfAnotherControllerIsNotServed) {
  const auto gateway = start_gateway({"--gateway-controller-name", "example.com/other"});
  ASSERT_TRUE(comes_to_answer("/readyz", "200")) << gateway->output();
  EXPECT_TRUE(comes_to_answer("/v1/models", "404"));
  EXPECT_EQ(condition("Gateway", "gw", "Accepted"), "");
}

TEST_F(ClusterRoutes, AKindThatMayNotBeReadIsToldWithTheCommandThatAllowsIt) {
  at_server([&] {
    server_.script({.what = ScriptedStep::Do::kStatus,
                    .fits = "/httproutes",
                    .code = 403,
                    .reason = "Forbidden",
                    .message = "httproutes is forbidden: User "
                               "\"system:serviceaccount:gateways:kvasir-gateway\" cannot list "
                               "resource \"httproutes\" in API group \"gateway.networking.k8s.io\" "
                               "at the cluster scope",
                    .times = 1000});
    return true;
  });
  const auto gateway = start_gateway();
  EXPECT_TRUE(
      gateway->comes_to_say("kvasir kube rbac --namespace gateways --name kvasir-gateway --routes"))
      << gateway->output();
  EXPECT_TRUE(comes_to_answer("/readyz", "503"));
  EXPECT_TRUE(comes_to_answer("/v1/models", "503"));
  at_server([&] {
    server_.clear_script();
    return true;
  });
}

TEST_F(ClusterRoutes, WhatCannotBeTogetherDoesNotStart) {
  const auto refusal = [&](const std::vector<std::string>& more) {
    const auto gateway = start_gateway(more);
    EXPECT_EQ(gateway->wait(), 2);
    return gateway->output();
  };
  EXPECT_THAT(refusal({"--routes", folder_.string()}), HasSubstr("not from both"));
  EXPECT_THAT(refusal({"--worker-urls", "http://127.0.0.1:1"}),
              HasSubstr("--routes-from-cluster: the cluster says where the workers are"));
  EXPECT_THAT(refusal({"--tls-cert-path", folder_.string()}), HasSubstr("--tls-cert-path: "));
  EXPECT_THAT(refusal({"--gateway-controller-name", "kvasir"}), HasSubstr("is not DOMAIN/PATH"));
}

}  // namespace
}  // namespace kvasir

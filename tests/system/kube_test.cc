// Picker and gateway with a Kubernetes whose API server is scripted, or whose objects are files.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "kube/scripted_api_fronts_fixture.h"
#include "leased_port.h"
#include "program.h"
#include "running_picker.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::json;
using ::testing::HasSubstr;
using ::testing::IsSubsetOf;
using ::testing::Not;
using ::testing::UnorderedElementsAre;

constexpr const char* kGie = "inference.networking.k8s.io/v1";
constexpr const char* kPods = "/api/v1/namespaces/models/pods";

class KubeSystemTest : public ::testing::Test {
 protected:
  KubeSystemTest() {
    std::string name = (fs::temp_directory_path() / "kube-test-XXXXXX").string();
    directory_ = mkdtemp(name.data());
    write("kubeconfig",
          "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
          "contexts: [{name: c, context: {cluster: c, user: u, namespace: models}}]\n"
          "clusters: [{name: c, cluster: {server: \"http://127.0.0.1:" +
              std::to_string(api_.port()) + "\"}}]\n" + "users: [{name: u, user: {token: t}}]\n");
  }
  ~KubeSystemTest() override {
    pickers_.clear();
    fs::remove_all(directory_);
  }

  std::string path(const std::string& name) const { return (directory_ / name).string(); }
  void write(const std::string& name, const std::string& text) {
    std::ofstream(directory_ / (name + ".new")) << text;
    fs::rename(directory_ / (name + ".new"), directory_ / name);
  }

  Json pool(const std::string& name = "vllm") const {
    return {{"apiVersion", kGie},
            {"kind", "InferencePool"},
            {"metadata", {{"name", name}, {"namespace", "models"}}},
            {"spec",
             {{"selector", {{"matchLabels", {{"app", "vllm"}}}}},
              {"targetPorts", {{{"number", worker_port_}}}},
              {"endpointPickerRef", {{"name", "epp"}, {"port", {{"number", 9002}}}}}}}};
  }
  // The i-th worker, from 0, as a pod.
  Json pod(size_t i, bool ready = true) const {
    return {{"apiVersion", "v1"},
            {"kind", "Pod"},
            {"metadata",
             {{"name", "w" + std::to_string(i)},
              {"namespace", "models"},
              {"labels", {{"app", "vllm"}}}}},
            {"spec", {{"nodeName", "node"}}},
            {"status",
             {{"phase", "Running"},
              {"podIP", workers_.hosts[i]},
              {"conditions", {{{"type", "Ready"}, {"status", ready ? "True" : "False"}}}}}}};
  }

  RunningPicker& start(std::vector<std::string> arguments, const std::string& host = "127.0.0.1",
                       uint16_t port = 0) {
    const std::string log = path("log" + std::to_string(pickers_.size()));
    pickers_.push_back(std::make_unique<RunningPicker>(*loop_, port == 0 ? leased_port() : port,
                                                       std::move(arguments), log, host));
    return *pickers_.back();
  }
  RunningPicker& start_for_pool(std::vector<std::string> more = {}) {
    more.insert(more.end(), {"--kubeconfig", path("kubeconfig"), "--pool-name", "vllm"});
    return start(std::move(more));
  }

  // The workers that 24 requests went to.
  std::set<std::string> picked(RunningPicker& picker) {
    std::set<std::string> destinations;
    for (int i = 0; i < 24; ++i) destinations.insert(picker.pick());
    picker.end_all();
    return destinations;
  }
  bool comes_to_pick(RunningPicker& picker, const std::set<std::string>& wanted) {
    return wait_until(*loop_, [&] { return picked(picker) == wanted; });
  }
  std::string worker(size_t i) const { return workers_.names[i]; }
  std::string page(const RunningPicker& picker, const std::string& path) {
    return ask(picker.metrics_port(),
               "GET " + path + " HTTP/1.1\r\nHost: p\r\nConnection: close\r\n\r\n");
  }
  bool comes_to_show(const RunningPicker& picker, const std::string& line) {
    return wait_until(*loop_,
                      [&] { return page(picker, "/metrics").find(line) != std::string::npos; });
  }
  bool becomes_ready(const RunningPicker& picker) {
    return wait_until(*loop_, [&] { return page(picker, "/readyz").find("HTTP/1.1 200") == 0; });
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  const uint16_t worker_port_ = leased_port();
  HealthyWorkers workers_{*loop_, 4, worker_port_};
  ScriptedApiServer server_;
  ScriptedHttpApi api_{*loop_, server_};
  fs::path directory_;
  std::vector<std::unique_ptr<RunningPicker>> pickers_;
};

TEST_F(KubeSystemTest, ThePickerFollowsThePodsOfItsPool) {
  server_.put(pool());
  for (size_t i = 0; i < 3; ++i) server_.put(pod(i));
  RunningPicker& picker = start_for_pool();
  ASSERT_TRUE(comes_to_pick(picker, {worker(0), worker(1), worker(2)})) << picker.log();
  EXPECT_TRUE(becomes_ready(picker));
  EXPECT_THAT(picker.log(), HasSubstr("endpoints of InferencePool models/vllm"));

  server_.remove("v1", "Pod", "w0", "models");
  EXPECT_TRUE(comes_to_pick(picker, {worker(1), worker(2)})) << "one was deleted";
  server_.put(pod(3));
  EXPECT_TRUE(comes_to_pick(picker, {worker(1), worker(2), worker(3)})) << "one came";
  server_.put(pod(1, false));
  EXPECT_TRUE(comes_to_pick(picker, {worker(2), worker(3)})) << "one is not ready";
  EXPECT_TRUE(comes_to_show(
      picker, "kvasir_kube_objects{kind=\"Pod\",api_version=\"v1\",namespace=\"models\"}"));
}

TEST_F(KubeSystemTest, WithoutTheServerItServesWhatItKnowsAndThenFollowsAgain) {
  server_.put(pool());
  server_.put(pod(0));
  server_.put(pod(1));
  RunningPicker& picker = start_for_pool();
  ASSERT_TRUE(comes_to_pick(picker, {worker(0), worker(1)})) << picker.log();
  api_.stop();
  ASSERT_TRUE(wait_until(*loop_, [&] { return picker.says("no news of pods") > 0; }))
      << picker.log();
  EXPECT_EQ(picked(picker), (std::set<std::string>{worker(0), worker(1)}));
  EXPECT_TRUE(becomes_ready(picker)) << "what it knows is good enough";
  EXPECT_TRUE(comes_to_show(
      picker,
      "kvasir_kube_last_heard_age_seconds{kind=\"Pod\",api_version=\"v1\",namespace=\"models\"}"));
  server_.remove("v1", "Pod", "w0", "models");
  server_.put(pod(2));
  api_.start();
  EXPECT_TRUE(comes_to_pick(picker, {worker(1), worker(2)})) << picker.log();
}

TEST_F(KubeSystemTest, UntilThePoolIsReadItIsAliveAndNotReady) {
  server_.script(
      {.fits = "GET /apis/inference.networking.k8s.io", .code = 503, .times = 1'000'000});
  server_.put(pod(0));
  server_.put(pool());
  RunningPicker& picker = start_for_pool();
  ASSERT_TRUE(wait_until(*loop_, [&] { return picker.says("no news of inferencepools") > 0; }))
      << picker.log();
  EXPECT_THAT(page(picker, "/readyz"), HasSubstr("503"));
  EXPECT_THAT(page(picker, "/healthz"), HasSubstr("200 OK"));
  server_.clear_script();
  EXPECT_TRUE(becomes_ready(picker)) << picker.log();
  EXPECT_TRUE(comes_to_pick(picker, {worker(0)}));
}

TEST_F(KubeSystemTest, AMissingPermissionIsOneLineAndNoEnd) {
  server_.put(pool());
  server_.put(pod(0));
  server_.script({.fits = kPods,
                  .code = 403,
                  .reason = "Forbidden",
                  .message = "pods is forbidden: User \"system:serviceaccount:models:me\" cannot "
                             "list resource \"pods\" in API group \"\" in the namespace \"models\"",
                  .times = 1'000'000});
  RunningPicker& picker = start_for_pool();
  const std::string line =
      "does not allow this program to list pods (the core group) in namespace "
      "models";
  ASSERT_TRUE(wait_until(*loop_, [&] { return picker.says(line) > 0; })) << picker.log();
  EXPECT_EQ(picker.says(line), 1u) << "told once";
  EXPECT_THAT(picker.log(), HasSubstr("kvasir kube rbac --pool-name vllm --pool-namespace models "
                                      "--name me | kubectl apply -f -"));
  EXPECT_THAT(page(picker, "/healthz"), HasSubstr("200 OK"));
  EXPECT_THAT(page(picker, "/readyz"), HasSubstr("the endpoints are not known yet"));
  EXPECT_TRUE(comes_to_show(picker,
                            "kvasir_kube_troubles_total{kind=\"Pod\",group=\"\","
                            "reason=\"Forbidden\"} 1"));
}

TEST_F(KubeSystemTest, ARefusedConfigurationIsAnEventOfThePool) {
  server_.put(pool());
  server_.put(pod(0));
  const std::string good =
      "apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\n"
      "plugins: [{type: queue-scorer}]\n";
  write("config.yaml", good);
  RunningPicker& picker = start_for_pool({"--config-file", path("config.yaml")});
  ASSERT_TRUE(comes_to_pick(picker, {worker(0)})) << picker.log();
  write("config.yaml", good + "nonsense: 7\n");
  ASSERT_TRUE(wait_until(*loop_, [&] { return !server_.all("events.k8s.io/v1", "Event").empty(); }))
      << picker.log();
  const Json event = server_.all("events.k8s.io/v1", "Event").front();
  EXPECT_EQ(event["reason"], "ConfigurationRefused");
  EXPECT_EQ(event["type"], "Warning");
  EXPECT_EQ(event["regarding"]["kind"], "InferencePool");
  EXPECT_EQ(event["regarding"]["name"], "vllm");
  EXPECT_EQ(event["reportingController"], "kvasir.dev/epp");
  EXPECT_THAT(std::string(event["note"]), HasSubstr("nonsense"));
}

TEST_F(KubeSystemTest, AConfigurationItDoesNotStartWithIsAnEventToo) {
  server_.put(pool());
  write("config.yaml", "nonsense: 7\n");
  start_for_pool({"--config-file", path("config.yaml")});
  ASSERT_TRUE(wait_until(*loop_, [&] { return !server_.all("events.k8s.io/v1", "Event").empty(); }))
      << pickers_.back()->log();
  const Json event = server_.all("events.k8s.io/v1", "Event").front();
  EXPECT_EQ(event["reason"], "ConfigurationRefused");
  EXPECT_EQ(event["action"], "Start");
  EXPECT_EQ(event["regarding"]["name"], "vllm");
}

TEST_F(KubeSystemTest, OfTwoReplicasOneLeadsAndHandsOver) {
  server_.put(pool());
  server_.put(pod(0));
  RunningPicker& first = start_for_pool({"--ha-enable-leader-election", "--drain-delay", "0"});
  ASSERT_TRUE(becomes_ready(first)) << first.log();
  RunningPicker& second = start_for_pool({"--ha-enable-leader-election"});
  ASSERT_TRUE(wait_until(*loop_, [&] { return second.says("the leader is ") > 0; }))
      << second.log();
  EXPECT_THAT(page(second, "/readyz"), HasSubstr("another replica leads"));
  EXPECT_THAT(page(second, "/healthz"), HasSubstr("200 OK"));
  const Json lease =
      server_.get("coordination.k8s.io/v1", "Lease", "epp-models-vllm.llm-d.ai", "models");
  EXPECT_FALSE(std::string(lease["spec"]["holderIdentity"]).empty());
  first.stop();
  EXPECT_TRUE(becomes_ready(second)) << "it was let go, and not waited for: " << second.log();
  EXPECT_TRUE(comes_to_show(second, "kvasir_kube_leader 1\n"));
}

TEST_F(KubeSystemTest, ReplicasFindEachOtherBehindTheirService) {
  server_.put(pool());
  for (size_t i = 0; i < 4; ++i) server_.put(pod(i));
  server_.put(Json{{"apiVersion", "discovery.k8s.io/v1"},
                   {"kind", "EndpointSlice"},
                   {"metadata",
                    {{"name", "epp-x"},
                     {"namespace", "models"},
                     {"labels", {{"kubernetes.io/service-name", "epp"}}}}},
                   {"addressType", "IPv4"},
                   {"ports", {{{"name", "grpc"}, {"port", 9002}}}},
                   {"endpoints",
                    {{{"addresses", {"127.0.0.21"}}, {"conditions", {{"ready", false}}}},
                     {{"addresses", {"127.0.0.22"}}}}}});
  write("secret", "a secret of these tests\n");
  const uint16_t port = leased_port();
  const std::vector<std::string> arguments = {"--kubeconfig",
                                              path("kubeconfig"),
                                              "--pool-name",
                                              "vllm",
                                              "--peers-service",
                                              "epp",
                                              "--config-text",
                                              "plugins: [{type: inflight-load-producer}, {type: "
                                              "active-request-scorer}, {type: max-score-picker}]",
                                              "--peers-secret-file",
                                              path("secret")};
  RunningPicker& one = start(arguments, "127.0.0.21", port);
  RunningPicker& two = start(arguments, "127.0.0.22", port);
  EXPECT_TRUE(wait_until(*loop_,
                         [&] {
                           return one.says("with 1 other replicas") == 1 &&
                                  two.says("with 1 other replicas") == 1;
                         }))
      << one.log() << two.log();
}

TEST_F(KubeSystemTest, WithoutAClusterTheObjectsMayBeFiles) {
  fs::create_directory(directory_ / "objects");
  write("objects/pool.yaml", pool().dump());
  write("objects/pods.yaml",
        Json{{"apiVersion", "v1"}, {"kind", "List"}, {"items", {pod(0), pod(1)}}}.dump());
  RunningPicker& picker = start(
      {"--kube-manifests", path("objects"), "--pool-name", "vllm", "--pool-namespace", "models"});
  ASSERT_TRUE(comes_to_pick(picker, {worker(0), worker(1)})) << picker.log();
  EXPECT_TRUE(becomes_ready(picker));
  write("objects/pods.yaml", pod(2).dump());
  EXPECT_TRUE(comes_to_pick(picker, {worker(2)})) << picker.log();
  write("objects/pods.yaml", "{");
  ASSERT_TRUE(wait_until(*loop_, [&] { return picker.says("objects stay as they were") > 0; }));
  EXPECT_EQ(picked(picker), (std::set<std::string>{worker(2)}));
}

TEST_F(KubeSystemTest, WithoutAWayToAServerItDoesNotStartAndSaysWhatWasTried) {
  const Program program({"epp", "--pool-name", "vllm", "--kubeconfig", path("missing")});
  Program& running = const_cast<Program&>(program);
  EXPECT_EQ(running.wait(), 2);
  EXPECT_THAT(program.output(), HasSubstr(path("missing")));
}

TEST_F(KubeSystemTest, TheGatewayFollowsThePodsToo) {
  server_.put(pool());
  server_.put(pod(0));
  const uint16_t port = leased_port();
  const Program gateway({"gateway", "--port", std::to_string(port), "--kubeconfig",
                         path("kubeconfig"), "--pool-name", "vllm", "--threads", "1",
                         "--drain-delay", "0"});
  const auto get = [&](const std::string& target) {
    return ask(port, "GET " + target + " HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n");
  };
  ASSERT_TRUE(wait_until(*loop_, [&] { return get("/readyz").find("HTTP/1.1 200") == 0; }))
      << gateway.output();
  ASSERT_TRUE(wait_until(*loop_, [&] {
    return get("/metrics")
               .find("kvasir_gateway_upstream_healthy{endpoint=\"models/w0-rank-0\"} 1") !=
           std::string::npos;
  })) << get("/metrics");
  server_.put(pod(1));
  EXPECT_TRUE(wait_until(*loop_, [&] {
    return get("/metrics")
               .find("kvasir_gateway_upstream_healthy{endpoint=\"models/w1-rank-0\"} 1") !=
           std::string::npos;
  })) << gateway.output();
  EXPECT_THAT(gateway.output(), HasSubstr("workers from InferencePool models/vllm"));
}

TEST_F(KubeSystemTest, ReadinessOfThePodsMayBeAllThatCounts) {
  server_.put(pool());
  Json silent = pod(0);
  silent["status"]["podIP"] = "127.0.3.200";  // nobody listens there
  server_.put(silent);
  const uint16_t port = leased_port();
  const Program gateway({"gateway", "--port", std::to_string(port), "--kubeconfig",
                         path("kubeconfig"), "--pool-name", "vllm", "--threads", "1",
                         "--no-health-checks"});
  EXPECT_TRUE(wait_until(*loop_, [&] {
    return ask(port, "GET /metrics HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n")
               .find("kvasir_gateway_upstream_healthy{endpoint=\"models/w0-rank-0\"} 1") !=
           std::string::npos;
  })) << gateway.output();
}

}  // namespace
}  // namespace kvasir

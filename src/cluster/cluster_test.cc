// A Cluster on a scripted API server, on virtual time.
#include "cluster/cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/virtual_executor_fixture.h"
#include "cluster/pool_discovery.h"
#include "kube/scripted_api_fronts_fixture.h"
#include "kube/scripted_api_server_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;
using Json = nlohmann::json;

constexpr const char* kPool = R"({"apiVersion": "inference.networking.k8s.io/v1",
  "kind": "InferencePool", "metadata": {"name": "pool", "namespace": "default"},
  "spec": {"selector": {"matchLabels": {"app": "vllm"}}, "targetPorts": [{"number": 8000}],
           "endpointPickerRef": {"name": "epp", "port": {"number": 9002}}}})";

Json pod(const std::string& name, const std::string& ip, bool ready = true) {
  Json object = Json::parse(R"({"apiVersion": "v1", "kind": "Pod",
    "metadata": {"namespace": "default", "labels": {"app": "vllm"}}, "spec": {"nodeName": "n1"},
    "status": {"phase": "Running", "conditions": [{"type": "Ready"}]}})");
  object["metadata"]["name"] = name;
  object["status"]["podIP"] = ip;
  object["status"]["conditions"][0]["status"] = ready ? "True" : "False";
  return object;
}

class ClusterTest : public ::testing::Test, public ClusterProbe, public DiscoveryListener {
 protected:
  ClusterTest() {
    selection_.pool_name = "pool";
    auto api = std::make_unique<ScriptedKubeApi>(executor_, server_);
    api_ = api.get();
    cluster_ = std::make_unique<Cluster>(executor_, std::move(api), ClusterOptions{}, *this);
  }
  ~ClusterTest() override { discovery_.reset(); }

  void on_trouble(const KubeType& type, const KubeStatus&, const std::string& why) override {
    told_.push_back(std::string(type.kind) + ": " + why);
  }
  void on_kind_absent(const KubeType& type) override {
    told_.push_back(type.api_version() + " " + std::string(type.kind) + " absent");
  }
  void on_endpoints(std::vector<Endpoint> endpoints) override {
    for (Endpoint& endpoint : endpoints) endpoints_[endpoint.name] = endpoint.host;
  }
  void on_endpoint_changes(EndpointChanges changes) override {
    for (const std::string& name : changes.removed) endpoints_.erase(name);
    for (const Endpoint& endpoint : changes.put) endpoints_[endpoint.name] = endpoint.host;
  }
  void on_discovery_failed(std::string_view source, std::string_view why) override {
    told_.push_back(std::string(source) + ": " + std::string(why));
  }

  void follow(bool node_labels = false) {
    cluster_->follow_pool(selection_, node_labels);
    PoolDiscoveryOptions options;
    options.selection = selection_;
    discovery_ = discover_pool(
        executor_, cluster_->store(), options, [this] { return cluster_->synced(selection_); },
        *this);
  }
  void pass(Duration time = seconds(1)) { executor_.run_until(executor_.now() + time); }
  std::vector<std::string> names() const {
    std::vector<std::string> names;
    for (const auto& [name, host] : endpoints_) names.push_back(name);
    return names;
  }

  VirtualExecutor executor_;
  ScriptedApiServer server_;
  ScriptedKubeApi* api_;
  PoolSelection selection_;
  std::unique_ptr<Cluster> cluster_;
  std::unique_ptr<Discovery> discovery_;
  std::map<std::string, std::string> endpoints_;
  std::vector<std::string> told_;
};

TEST_F(ClusterTest, FromTheServerToEndpointsWithinAHundredMilliseconds) {
  server_.put(kPool);
  server_.put(pod("a", "10.0.0.1"));
  follow();
  EXPECT_FALSE(cluster_->synced(selection_));
  pass();
  EXPECT_TRUE(cluster_->synced(selection_));
  EXPECT_TRUE(discovery_->settled());
  EXPECT_THAT(names(), ElementsAre("default/a-rank-0"));
  server_.put(pod("b", "10.0.0.2"));
  server_.put(pod("a", "10.0.0.1", false));
  pass(milliseconds(100));
  EXPECT_THAT(names(), ElementsAre("default/b-rank-0"));
  EXPECT_THAT(told_, IsEmpty());
}

TEST_F(ClusterTest, PoolsShareWhatTheyCan) {
  follow();
  pass();
  const size_t watches = server_.watches();
  EXPECT_EQ(watches, 6u) << "pods, pools, and two groups of objectives and rewrites each";
  PoolSelection other = selection_;
  other.pool_name = "other";
  cluster_->follow_pool(other, false);
  cluster_->follow_pool(selection_, false);
  PoolSelection by_flags;
  by_flags.selector = LabelSelector::parse("app=vllm").value();
  cluster_->follow_pool(by_flags, false);
  pass();
  EXPECT_EQ(server_.watches(), watches);
  EXPECT_TRUE(cluster_->synced(by_flags)) << "all pods of the namespace are there";
  by_flags.pool_namespace = "elsewhere";
  cluster_->follow_pool(by_flags, false);
  pass();
  EXPECT_EQ(server_.watches(), watches + 1);
  EXPECT_EQ(server_.watches("labelSelector=app"), 1u);
  PoolSelection stranger = selection_;
  stranger.pool_namespace = "nowhere";
  EXPECT_FALSE(cluster_->synced(stranger));
}

TEST_F(ClusterTest, KindsThatAreNotInstalledTroubleNobody) {
  server_.uninstall("llm-d.ai/v1alpha2", "InferenceObjective");
  server_.uninstall("inference.networking.x-k8s.io/v1alpha2", "InferenceModelRewrite");
  server_.put(kPool);
  follow();
  pass(seconds(200));
  EXPECT_TRUE(discovery_->settled());
  EXPECT_THAT(told_, UnorderedElementsAre(
                         "llm-d.ai/v1alpha2 InferenceObjective absent",
                         "inference.networking.x-k8s.io/v1alpha2 InferenceModelRewrite absent"));
}

TEST_F(ClusterTest, WithoutTheKindOfThePoolThereAreNoEndpointsAndThatIsTold) {
  server_.uninstall("inference.networking.k8s.io/v1", "InferencePool");
  follow();
  pass(seconds(10));
  EXPECT_FALSE(cluster_->synced(selection_));
  EXPECT_FALSE(discovery_->settled());
  EXPECT_THAT(told_, ElementsAre(HasSubstr("InferencePool: ")));
}

TEST_F(ClusterTest, APoolThatIsNotThereYetIsTold) {
  follow();
  pass();
  EXPECT_TRUE(cluster_->synced(selection_));
  EXPECT_FALSE(discovery_->settled());
  EXPECT_THAT(told_, ElementsAre(HasSubstr("there is no such object")));
  server_.put(kPool);
  pass(milliseconds(100));
  EXPECT_TRUE(discovery_->settled());
}

TEST_F(ClusterTest, WithoutAServerEndpointsStayAndTheirAgeGrows) {
  server_.put(kPool);
  server_.put(pod("a", "10.0.0.1"));
  follow();
  pass();
  const auto pods = [this] {
    for (const KubeFreshness& fresh : cluster_->freshness()) {
      if (fresh.kind == "Pod") return fresh;
    }
    return KubeFreshness{};
  };
  EXPECT_EQ(pods().objects, 1u);
  EXPECT_EQ(pods().api_version, "v1");
  EXPECT_EQ(pods().name_space, "default");
  ASSERT_TRUE(pods().heard_at);
  api_->go_away();
  pass(seconds(120));
  EXPECT_THAT(names(), ElementsAre("default/a-rank-0"));
  EXPECT_TRUE(cluster_->synced(selection_));
  EXPECT_GE(executor_.now() - *pods().heard_at, seconds(119));
  EXPECT_THAT(told_, Contains(HasSubstr("Pod: ")));
  server_.remove("v1", "Pod", "a");
  server_.put(pod("b", "10.0.0.2"));
  api_->come_back();
  pass(seconds(31));
  EXPECT_THAT(names(), ElementsAre("default/b-rank-0"));
  EXPECT_LE(executor_.now() - *pods().heard_at, seconds(31));
}

TEST_F(ClusterTest, NodesAreWaitedForUnlessTheyMayNotBeRead) {
  server_.put(kPool);
  server_.script({.fits = "/nodes", .code = 403, .reason = "Forbidden", .times = 1000});
  follow(true);
  pass();
  EXPECT_TRUE(cluster_->synced(selection_));
  EXPECT_THAT(told_, ElementsAre(HasSubstr("Node: "))) << "a permission that is missing is told";
}

TEST_F(ClusterTest, AServiceIsFollowedByItsSlices) {
  cluster_->follow_service("default", "epp");
  cluster_->follow_service("default", "epp");
  pass();
  EXPECT_EQ(server_.watches(), 1u);
  EXPECT_EQ(server_.watches("kubernetes.io%2Fservice-name%3Depp"), 1u);
}

}  // namespace
}  // namespace kvasir

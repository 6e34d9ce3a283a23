#include "cluster/pool_discovery.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <optional>

#include "base/virtual_executor_fixture.h"
#include "cluster/cluster_fixture.h"

namespace kvasir {
namespace {

using std::chrono::milliseconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

std::string text_of(const Endpoint& endpoint) {
  return endpoint.name + "=" + endpoint.host + ":" + std::to_string(endpoint.port);
}

class PoolDiscoveryTest : public ::testing::Test, protected DiscoveryListener {
 protected:
  void on_endpoints(std::vector<Endpoint> endpoints) override {
    told_.push_back("all");
    known_.clear();
    for (Endpoint& endpoint : endpoints) take(std::move(endpoint));
  }
  void on_endpoint_changes(EndpointChanges changes) override {
    EXPECT_FALSE(changes.empty());
    for (const std::string& name : changes.removed) {
      told_.push_back("-" + name);
      EXPECT_EQ(known_.erase(name), 1u) << name << " was never told";
    }
    for (Endpoint& endpoint : changes.put) {
      told_.push_back("+" + endpoint.name);
      take(std::move(endpoint));
    }
  }
  void on_discovery_failed(std::string_view source, std::string_view why) override {
    told_.push_back(std::string(source) + ": " + std::string(why));
  }
  void take(Endpoint endpoint) { known_[endpoint.name] = std::move(endpoint); }

  void put(KubeObjectPtr object) {
    const KubeKind kind = object->type->as;
    EXPECT_TRUE(store_.put(kind, std::move(object)));
    store_.end_batch();
  }
  void remove_pod(const std::string& name) {
    store_.remove(KubeKind::kPod, {"default", name});
    store_.end_batch();
  }
  void pass(Duration time) { executor_.run_until(executor_.now() + time); }
  // What was told since the last time, after long enough.
  std::vector<std::string> told() {
    pass(milliseconds(20));
    return std::exchange(told_, {});
  }
  std::vector<std::string> known() const {
    std::vector<std::string> texts;
    for (const auto& [name, endpoint] : known_) texts.push_back(text_of(endpoint));
    return texts;
  }
  void start(PoolDiscoveryOptions options) {
    discovery_ = discover_pool(
        executor_, store_, std::move(options), [this] { return ready_; }, *this);
  }
  void start() {
    PoolDiscoveryOptions options;
    options.selection.pool_name = "pool";
    start(std::move(options));
  }

  VirtualExecutor executor_;
  ObjectStore store_;
  bool ready_ = true;
  std::map<std::string, Endpoint> known_;
  std::vector<std::string> told_;
  std::unique_ptr<Discovery> discovery_;
};

TEST_F(PoolDiscoveryTest, EachReadyPodIsAnEndpointAtEachTargetPort) {
  put(make_pool({{"app", "vllm"}}, {8000, 8001}));
  put(make_pod("a", "10.0.0.1", {{"app", "vllm"}, {"llm-d.ai/role", "decode"}}));
  put(make_pod("b", "fd00::2"));
  put(make_pod("other", "10.0.0.3", {{"app", "sglang"}}));
  auto elsewhere = make_pod("a", "10.0.0.4");
  elsewhere->meta.name_space = "elsewhere";
  put(elsewhere);
  start();
  EXPECT_TRUE(discovery_->settled());
  EXPECT_THAT(known(),
              ElementsAre("default/a-rank-0=10.0.0.1:8000", "default/a-rank-1=10.0.0.1:8001",
                          "default/b-rank-0=fd00::2:8000", "default/b-rank-1=fd00::2:8001"));
  EXPECT_EQ(*known_["default/a-rank-1"].label("llm-d.ai/role"), "decode");
  EXPECT_THAT(told(), ElementsAre("all"));
}

TEST_F(PoolDiscoveryTest, APodCountsWhileItIsReadyHasAnAddressAndStays) {
  put(make_pool());
  start();
  EXPECT_THAT(told(), ElementsAre("all"));
  const auto change = [&](const char* what, auto&& edit, const std::vector<std::string>& expected) {
    auto pod = make_pod("a", "10.0.0.1");
    edit(*pod);
    put(pod);
    EXPECT_EQ(told(), expected) << what;
  };
  using List = std::vector<std::string>;
  const List came = {"+default/a-rank-0"};
  const List went = {"-default/a-rank-0"};
  change("starting", [](Pod& pod) { pod.ready = false; }, {});
  change("no address", [](Pod& pod) { pod.ip.clear(); }, {});
  change(
      "ready", [](Pod&) {}, came);
  change("the same again", [](Pod&) {}, {});
  change("another phase and version",
         [](Pod& pod) {
           pod.phase = "Running";
           pod.meta.resource_version = "17";
         },
         {});
  change("an annotation of others", [](Pod& pod) { pod.meta.annotations["x"] = "y"; }, {});
  change(
      "relabelled", [](Pod& pod) { pod.meta.labels["canary"] = "yes"; }, came);
  change(
      "another address", [](Pod& pod) { pod.ip = "10.0.0.9"; }, came);
  EXPECT_THAT(known(), ElementsAre("default/a-rank-0=10.0.0.9:8000"));
  change(
      "not ready", [](Pod& pod) { pod.ready = false; }, went);
  change(
      "ready again", [](Pod&) {}, came);
  change(
      "being deleted", [](Pod& pod) { pod.meta.deleting = true; }, went);
  change(
      "another pod of that name", [](Pod&) {}, came);
  change(
      "its address taken from it", [](Pod& pod) { pod.ip.clear(); }, went);
  change(
      "an address again", [](Pod&) {}, came);
  change(
      "evicted, and Ready while it ends", [](Pod& pod) { pod.phase = "Failed"; }, went);
  change("it stays over", [](Pod& pod) { pod.phase = "Succeeded"; }, {});
  change(
      "another pod of that name again", [](Pod& pod) { pod.phase = "Running"; }, came);
  change(
      "no longer of the pool",
      [](Pod& pod) {
        pod.meta.labels = {{"app", "x"}};
      },
      went);
  change(
      "of the pool", [](Pod&) {}, came);
  remove_pod("a");
  EXPECT_EQ(told(), went);
}

TEST_F(PoolDiscoveryTest, AnAnnotationNamesTheActivePorts) {
  put(make_pool({{"app", "vllm"}}, {8000, 8001, 8002}));
  start();
  const struct {
    std::optional<std::string> annotation;
    std::optional<std::string> older;
    const char* ranks;
  } cases[] = {
      {{}, {}, "012"},
      {"", {}, ""},
      {"8000", {}, "0"},
      {"8000,8001,8002", {}, "012"},
      {"8000, 8001 , 8002", {}, "012"},
      {"8000,invalid,8002", {}, "02"},
      {"8000,-1,8002", {}, "02"},
      {"8000,8001,8000", {}, "01"},
      {"8000,9000", {}, "0"},
      {"8002,8000", {}, "02"},
      {",,8001,", {}, "1"},
      {"+8001", {}, "1"},
      {"8001tcp", {}, "1"},
      {"0x1F40", {}, ""},
      {"80000000000008001", {}, ""},
      {"73536", {}, ""},  // 8000 in 16 bits
      {{}, "8000,8001", "01"},
      {"8000", "8001", "0"},
      {"", "8001", ""},
  };
  for (const auto& test : cases) {
    auto pod = make_pod("a", "10.0.0.1");
    if (test.annotation) pod->meta.annotations["llm-d.ai/active-ports"] = *test.annotation;
    if (test.older) pod->meta.annotations["inference.networking.k8s.io/active-ports"] = *test.older;
    put(pod);
    told();
    std::string ranks;
    for (const auto& [name, endpoint] : known_) {
      ranks += name.back();
      EXPECT_EQ(endpoint.port, 8000 + (name.back() - '0'));
    }
    EXPECT_EQ(ranks, test.ranks) << test.annotation.value_or("none") << " and "
                                 << test.older.value_or("none");
  }
}

TEST_F(PoolDiscoveryTest, AChangeOfThePoolMovesOnlyWhatItChanges) {
  put(make_pool({{"app", "vllm"}}, {8000, 8001}));
  put(make_pod("a", "10.0.0.1", {{"app", "vllm"}, {"tier", "1"}}));
  put(make_pod("b", "10.0.0.2", {{"app", "vllm"}}));
  start();
  EXPECT_THAT(told(), ElementsAre("all"));
  put(make_pool({{"app", "vllm"}}, {8000, 8001}));
  EXPECT_THAT(told(), IsEmpty()) << "its status, say";
  put(make_pool({{"app", "vllm"}}, {8000, 9001}));
  EXPECT_THAT(told(), ElementsAre("+default/a-rank-1", "+default/b-rank-1"));
  put(make_pool({{"app", "vllm"}}, {8000}));
  EXPECT_THAT(told(), ElementsAre("-default/a-rank-1", "-default/b-rank-1"));
  put(make_pool({{"tier", "1"}}, {8000}));
  EXPECT_THAT(told(), ElementsAre("-default/b-rank-0"));
  put(make_pool({}, {8000}));
  EXPECT_THAT(told(), ElementsAre("-default/a-rank-0")) << "no selector is no wish for all pods";
}

TEST_F(PoolDiscoveryTest, WithoutThePoolEndpointsStayAndThatIsToldOnce) {
  put(make_pod("a", "10.0.0.1"));
  put(make_pool({{"app", "vllm"}}, {8000}, "serving.kserve.io"));
  start();
  EXPECT_FALSE(discovery_->settled());
  EXPECT_THAT(told(), ElementsAre("InferencePool default/pool: there is no such object of "
                                  "inference.networking.k8s.io"));
  put(make_pod("b", "10.0.0.2"));
  EXPECT_THAT(told(), IsEmpty());
  put(make_pool());
  EXPECT_THAT(told(), ElementsAre("all"));
  EXPECT_TRUE(discovery_->settled());
  EXPECT_EQ(known_.size(), 2u);
  auto leaving = make_pool();
  leaving->meta.deleting = true;
  put(leaving);
  EXPECT_THAT(told(), ElementsAre("InferencePool default/pool: it is being deleted"));
  store_.remove(KubeKind::kInferencePool, {"default", "pool"});
  store_.end_batch();
  put(make_pod("c", "10.0.0.3"));
  remove_pod("a");
  EXPECT_THAT(told(), IsEmpty());
  EXPECT_EQ(known_.size(), 2u);
  put(make_pool());
  EXPECT_THAT(told(), ElementsAre("-default/a-rank-0", "+default/c-rank-0"));
}

TEST_F(PoolDiscoveryTest, TheFirstListWaitsUntilTheStoreIsFilled) {
  ready_ = false;
  put(make_pool());
  put(make_pod("a", "10.0.0.1"));
  start();
  pass(std::chrono::seconds(1));
  EXPECT_FALSE(discovery_->settled());
  EXPECT_THAT(told_, IsEmpty());
  put(make_pod("b", "10.0.0.2"));
  ready_ = true;
  store_.end_batch();
  pass(milliseconds(20));
  EXPECT_TRUE(discovery_->settled());
  EXPECT_EQ(known_.size(), 2u);
  EXPECT_THAT(told(), ElementsAre("all"));
}

TEST_F(PoolDiscoveryTest, AStoreThatSaysNothingMoreIsAskedAgain) {
  ready_ = false;
  start(
      PoolDiscoveryOptions{{"", "default", "", LabelSelector::parse("app=vllm").value(), {8000}}});
  pass(milliseconds(10));
  ready_ = true;
  pass(milliseconds(50));
  EXPECT_TRUE(discovery_->settled());
  EXPECT_THAT(told(), ElementsAre("all"));
}

TEST_F(PoolDiscoveryTest, ExpressionsOfThePoolCountAsItsLabelsDo) {
  put(make_pod("a", "10.0.0.1", {{"app", "vllm"}, {"role", "decode"}}));
  put(make_pod("b", "10.0.0.2", {{"app", "vllm"}, {"role", "encode"}}));
  const auto pool = make_pool();
  pool->requirements = {{"role", LabelRequirement::Operator::kIn, {"decode", "prefill"}}};
  put(pool);
  start();
  EXPECT_THAT(known(), ElementsAre("default/a-rank-0=10.0.0.1:8000"));
}

TEST_F(PoolDiscoveryTest, FlagsCanSayTheSelectorAndThePorts) {
  put(make_pod("a", "10.0.0.1", {{"app", "vllm"}, {"tier", "1"}}));
  put(make_pod("b", "10.0.0.2", {{"app", "vllm"}, {"tier", "2"}}));
  PoolDiscoveryOptions options;
  options.selection.selector = LabelSelector::parse("app=vllm,tier notin (2)").value();
  options.selection.target_ports = {3000};
  start(std::move(options));
  EXPECT_THAT(known(), ElementsAre("default/a-rank-0=10.0.0.1:3000"));
  put(make_pod("c", "10.0.0.3", {{"app", "vllm"}}));
  told();
  EXPECT_EQ(known_.size(), 2u);
}

TEST_F(PoolDiscoveryTest, TheFirstChangeIsToldAtOnceAndMoreOfThemTogether) {
  put(make_pool());
  start();
  EXPECT_THAT(told(), ElementsAre("all"));
  put(make_pod("a", "10.0.0.1"));
  EXPECT_THAT(told_, ElementsAre("+default/a-rank-0")) << "in the same turn";
  put(make_pod("b", "10.0.0.2"));
  put(make_pod("c", "10.0.0.3"));
  remove_pod("b");
  EXPECT_EQ(told_.size(), 1u);
  pass(milliseconds(19));
  EXPECT_EQ(told_.size(), 1u);
  pass(milliseconds(1));
  EXPECT_THAT(told_, ElementsAre("+default/a-rank-0", "+default/c-rank-0"));
  pass(std::chrono::seconds(1));
  EXPECT_EQ(told_.size(), 2u);
}

TEST_F(PoolDiscoveryTest, PodsOfOtherPoolsHoldNothingUp) {
  put(make_pool());
  start();
  told();
  put(make_pod("other", "10.0.0.9", {{"app", "sglang"}}));
  put(make_pod("a", "10.0.0.1"));
  EXPECT_THAT(told_, ElementsAre("+default/a-rank-0")) << "in the same turn";
}

TEST_F(PoolDiscoveryTest, WhatHappensBetweenTwoLooksIsNotLost) {
  put(make_pool());
  put(make_pod("a", "10.0.0.1"));
  start();
  put(make_pod("first", "10.0.0.9"));  // told at once: the next ones wait
  auto away = make_pod("a", "10.0.0.1");
  away->ready = false;
  put(away);
  put(make_pod("a", "10.0.0.1", {{"app", "vllm"}, {"revision", "2"}}));
  told();
  ASSERT_NE(known_["default/a-rank-0"].label("revision"), nullptr);
  put(make_pod("second", "10.0.0.8"));
  remove_pod("a");
  put(make_pod("a", "10.0.0.1", {{"app", "vllm"}, {"revision", "3"}}));
  told();
  EXPECT_EQ(*known_["default/a-rank-0"].label("revision"), "3");
}

TEST_F(PoolDiscoveryTest, LabelsOfTheNodeComeWithThePodsOwnThatCountMore) {
  const auto on_node = [](const std::string& name, const std::string& ip, LabelMap labels) {
    labels["app"] = "vllm";
    auto pod = make_pod(name, ip, std::move(labels));
    pod->node_name = "n1";
    return pod;
  };
  put(make_pool());
  put(on_node("a", "10.0.0.1", {}));
  put(on_node("b", "10.0.0.2", {{"topology.kubernetes.io/zone", "mine"}}));
  PoolDiscoveryOptions options;
  options.selection.pool_name = "pool";
  options.node_labels = topology_labels();
  start(std::move(options));
  EXPECT_EQ(known_["default/a-rank-0"].label("topology.kubernetes.io/zone"), nullptr);
  told();
  put(make_node("n1", {{"topology.kubernetes.io/zone", "z1"}, {"kubernetes.io/os", "linux"}}));
  EXPECT_THAT(told(), ElementsAre("+default/a-rank-0", "+default/b-rank-0"));
  EXPECT_EQ(*known_["default/a-rank-0"].label("topology.kubernetes.io/zone"), "z1");
  EXPECT_EQ(*known_["default/b-rank-0"].label("topology.kubernetes.io/zone"), "mine");
  EXPECT_EQ(known_["default/a-rank-0"].label("kubernetes.io/os"), nullptr);
  put(make_node("n1", {{"topology.kubernetes.io/zone", "z1"}, {"kubernetes.io/os", "other"}}));
  EXPECT_THAT(told(), IsEmpty());
  auto moved = on_node("a", "10.0.0.1", {});
  moved->node_name = "n2";
  put(moved);
  told();
  EXPECT_EQ(known_["default/a-rank-0"].label("topology.kubernetes.io/zone"), nullptr);
}

TEST(TargetPorts, AreAListOfUpToEight) {
  EXPECT_THAT(parse_target_ports("8000").value(), ElementsAre(8000));
  EXPECT_THAT(parse_target_ports("8000,8001,8000").value(), ElementsAre(8000, 8001));
  EXPECT_EQ(parse_target_ports("1,2,3,4,5,6,7,8").value().size(), 8u);
  for (const char* bad : {"", "0", "8000,", "8000, 8001", "65536", "http", "1,2,3,4,5,6,7,8,9"}) {
    EXPECT_FALSE(parse_target_ports(bad)) << bad;
  }
}

}  // namespace
}  // namespace kvasir

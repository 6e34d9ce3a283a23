// The client, elections and events against a real API server: KVASIR_TEST_KUBECONFIG names a
// kubeconfig that may do everything in its namespace. Without it these tests are skipped.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "base/random.h"
#include "kube/event_recorder.h"
#include "kube/kube_client.h"
#include "kube/kube_config.h"
#include "kube/kube_time.h"
#include "kube/leader_election.h"
#include "net/io/event_loop.h"
#include "net/io/system_resolver.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;
using ::testing::HasSubstr;

class KubeRealTest : public ::testing::Test, public KubeWatchObserver, public LeaderProbe {
 protected:
  void SetUp() override {
    const char* kubeconfig = std::getenv("KVASIR_TEST_KUBECONFIG");
    if (kubeconfig == nullptr) GTEST_SKIP() << "KVASIR_TEST_KUBECONFIG is not set";
    loop_ = std::move(EventLoop::create().value());
    auto config = read_kubeconfig(kubeconfig);
    ASSERT_TRUE(config.ok()) << config.error().message;
    base_ = "/api/v1/namespaces/" + config->name_space;
    name_space_ = config->name_space;
    auto client = KubeClient::create(*loop_, resolver_, std::move(*config));
    ASSERT_TRUE(client.ok()) << client.error().message;
    client_ = std::move(*client);
    name_ = "kvasir-test-" + std::to_string(getpid());
  }
  void TearDown() override {
    if (client_ != nullptr) ask({"DELETE", base_ + "/configmaps/" + name_});
  }

  void run_until(const std::function<bool()>& done) {
    for (int turn = 0; turn < 30'000 && !done(); ++turn) {
      const TimerId tick = loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
      loop_->cancel(tick);
    }
    ASSERT_TRUE(done());
  }
  KubeAnswer ask(KubeRequest request) {
    std::optional<KubeAnswer> answer;
    const auto call =
        client_->start(std::move(request), [&](const KubeAnswer& got) { answer = got; });
    run_until([&] { return answer.has_value(); });
    return answer.value_or(KubeAnswer{});
  }
  std::string config_map(const std::string& value) {
    return Json{{"apiVersion", "v1"},
                {"kind", "ConfigMap"},
                {"metadata", {{"name", name_}}},
                {"data", {{"key", value}}}}
        .dump();
  }
  void on_line(std::string_view json) override {
    const Json event = Json::parse(json);
    heard_ += event["type"].get<std::string>() + " ";
  }
  void on_end(const KubeAnswer&) override { ended_ = true; }
  void on_leading(bool leads) override { leads_ = leads; }
  void on_election_trouble(const std::string& why) override { ADD_FAILURE() << why; }

  std::unique_ptr<EventLoop> loop_;
  SystemResolver resolver_;
  std::unique_ptr<KubeClient> client_;
  std::string name_space_, base_, name_;
  std::string heard_;
  bool ended_ = false;
  bool leads_ = false;
};

TEST_F(KubeRealTest, ObjectsAreWrittenListedWatchedAndDeleted) {
  const std::string maps = base_ + "/configmaps";
  const KubeAnswer created = ask({"POST", maps, config_map("1")});
  ASSERT_EQ(created.http_status, 201) << created.status.message;
  EXPECT_EQ(ask({"POST", maps, config_map("1")}).status.reason, "AlreadyExists");
  const std::string version =
      Json::parse(created.body)["metadata"]["resourceVersion"].get<std::string>();
  const auto watch = client_->watch(maps + "?watch=1&fieldSelector=metadata.name%3D" + name_ +
                                        "&timeoutSeconds=30&resourceVersion=" + version,
                                    *this);
  const KubeAnswer applied = ask({"PATCH", maps + "/" + name_ + "?fieldManager=test&force=true",
                                  config_map("2"), kApplyPatch});
  EXPECT_TRUE(applied.ok()) << applied.status.message;
  const KubeAnswer warned = ask({"PATCH", maps + "/" + name_, R"({"nope":1})", kMergePatch});
  EXPECT_THAT(warned.warning, HasSubstr("unknown field"));
  Json stale = Json::parse(created.body);
  EXPECT_EQ(ask({"PUT", maps + "/" + name_, stale.dump()}).status.reason, "Conflict");
  EXPECT_TRUE(ask({"DELETE", maps + "/" + name_}).ok());
  run_until([&] { return heard_.find("DELETED") != std::string::npos; });
  EXPECT_THAT(heard_, HasSubstr("MODIFIED"));
  EXPECT_EQ(ask({"GET", maps + "/" + name_}).status.reason, "NotFound");
}

TEST_F(KubeRealTest, LeaseIsTakenRenewedAndLetGo) {
  LeaderElectionOptions options;
  options.name_space = name_space_;
  options.lease_name = name_;
  options.identity = "me";
  options.retry_period = std::chrono::milliseconds(100);
  const WallClock wall;
  Random random(1);
  LeaderElection election(*loop_, *client_, wall, options, random, *this);
  run_until([&] { return leads_; });
  const std::string path = kube_type(KubeKind::kLease).path(name_space_, name_);
  const auto lease = [&] { return Json::parse(ask({"GET", path}).body); };
  const Json first = lease();
  EXPECT_EQ(first["spec"]["holderIdentity"], "me");
  run_until([&] { return lease()["spec"]["renewTime"] != first["spec"]["renewTime"]; });
  bool released = false;
  election.release([&] { released = true; });
  run_until([&] { return released; });
  EXPECT_EQ(lease()["spec"].value("holderIdentity", ""), "");
  EXPECT_TRUE(ask({"DELETE", path}).ok());
}

TEST_F(KubeRealTest, EventIsThereAndIsCounted) {
  const KubeAnswer created = ask({"POST", base_ + "/configmaps", config_map("1")});
  ASSERT_TRUE(created.ok()) << created.status.message;
  const std::string uid = Json::parse(created.body)["metadata"]["uid"];
  const WallClock wall;
  EventRecorderOptions options;
  options.instance = "test";
  EventRecorder recorder(*loop_, *client_, wall, options,
                         [](const std::string& trouble) { ADD_FAILURE() << trouble; });
  const KubeEvent event{true, "ConfigurationRefused", "Reload", "line 5: no such plugin"};
  const ObjectReference about{"v1", "ConfigMap", {name_space_, name_}, uid};
  recorder.record(about, event);
  recorder.record(about, event);
  // As kubectl describe asks.
  const std::string events = base_ + "/events?fieldSelector=involvedObject.name%3D" + name_ +
                             "%2CinvolvedObject.kind%3DConfigMap%2CinvolvedObject.uid%3D" + uid;
  Json items;
  run_until([&] {
    items = Json::parse(ask({"GET", events}).body)["items"];
    return items.size() == 1 && items[0].contains("series");
  });
  EXPECT_EQ(items[0]["message"], "line 5: no such plugin");
  EXPECT_EQ(items[0]["reason"], "ConfigurationRefused");
  EXPECT_EQ(items[0]["type"], "Warning");
  EXPECT_EQ(items[0]["series"]["count"], 2);
}

}  // namespace
}  // namespace kvasir

// What a program asks of an API server, and that `kvasir kube rbac` allows exactly that.
#include "apps/kube_session.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <set>

#include "base/virtual_executor_fixture.h"
#include "kube/scripted_api_fronts_fixture.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

using Json = nlohmann::json;
using std::chrono::milliseconds;
using ::testing::Contains;
using ::testing::ElementsAreArray;

// What RBAC is asked for, as the API server sees it: "NAMESPACE VERB RESOURCE.GROUP[/NAME]".
std::string permission_of(const ScriptedRequest& request) {
  std::vector<std::string> parts;
  std::istringstream path(request.path);
  for (std::string part; std::getline(path, part, '/');) {
    if (!part.empty()) parts.push_back(part);
  }
  const bool core = parts[0] == "api";
  const std::string group = core ? "" : "." + parts[1];
  parts.erase(parts.begin(), parts.begin() + (core ? 2 : 3));
  std::string name_space = "-";
  if (parts[0] == "namespaces" && parts.size() > 2) {
    name_space = parts[1];
    parts.erase(parts.begin(), parts.begin() + 2);
  }
  std::string name = parts.size() > 1 ? parts[1] : "";
  std::string verb = request.is_watch() ? "watch" : name.empty() ? "list" : "get";
  if (request.method == "POST") verb = "create";
  if (request.method == "PUT") verb = "update";
  if (request.method == "PATCH") verb = "patch";
  // RBAC takes the name of a list or watch from this selector.
  const std::string field = request.value("fieldSelector");
  if (field.rfind("metadata.name=", 0) == 0) name = field.substr(14);
  return name_space + " " + verb + " " + parts[0] + group + (name.empty() ? "" : "/" + name);
}

// Of a permission for all names any name is allowed.
bool allows(const std::set<std::string>& allowed, const std::string& asked) {
  return allowed.count(asked) > 0 || allowed.count(asked.substr(0, asked.rfind('/'))) > 0;
}

class KubeSessionTest : public ::testing::Test, protected PoolProbe {
 protected:
  KubeSessionTest() {
    setenv("POD_NAME", "kvasir-epp-5d9c-x2x4z", 1);
    setenv("NAMESPACE", "routing", 1);
    kubeconfig_ = ::testing::TempDir() + "kubeconfig-" + std::to_string(getpid());
    std::ofstream(kubeconfig_) << "apiVersion: v1\nkind: Config\ncurrent-context: c\n"
                                  "contexts: [{name: c, context: {cluster: c, user: u}}]\n"
                                  "clusters: [{name: c, cluster: {server: \"http://127.0.0.1:"
                               << api_.port() << "\"}}]\nusers: [{name: u, user: {}}]\n";
  }
  ~KubeSessionTest() override {
    unsetenv("POD_NAME");
    unsetenv("NAMESPACE");
    std::remove(kubeconfig_.c_str());
  }
  void on_health_changed(const Endpoint&, bool) override {}

  void open(KubeChoice choice, KubeSessionOptions options) {
    choice.kubeconfig = kubeconfig_;
    choice.selection.pool_namespace = "models";
    options.look_interval = milliseconds(5);
    options.trouble_after = milliseconds(20);
    session_ = std::move(KubeSession::open(*loop_, std::move(choice), options).value());
    PoolOptions pool;
    session_->feed(pool.feeds);
    pool.feeds.check_health = false;
    pool.policy = "random";
    pool_ = std::move(Pool::open(*loop_, std::move(pool), *this).value());
    ASSERT_TRUE(pool_->feed(*loop_));
    session_->serve(*pool_);
  }
  void close() {
    pool_.reset();
    session_.reset();
    ASSERT_TRUE(run_until([&] { return server_.watches() == 0; }));
  }
  bool run_until(const std::function<bool()>& holds) {
    const TimePoint deadline = SteadyClock().now() + std::chrono::seconds(20);
    while (!holds() && SteadyClock().now() < deadline) {
      loop_->after(milliseconds(2), [this] { loop_->stop(); });
      loop_->run();
    }
    return holds();
  }
  Json pool_object() const {
    return {{"apiVersion", "inference.networking.k8s.io/v1"},
            {"kind", "InferencePool"},
            {"metadata", {{"name", "vllm"}, {"namespace", "models"}}},
            {"spec",
             {{"selector", {{"matchLabels", {{"app", "vllm"}}}}},
              {"targetPorts", {{{"number", 8000}}}},
              {"endpointPickerRef", {{"name", "epp"}, {"port", {{"number", 9002}}}}}}}};
  }
  std::vector<std::string> event_reasons() const {
    std::vector<std::string> reasons;
    for (const Json& event : server_.all("events.k8s.io/v1", "Event")) {
      reasons.push_back(event["reason"]);
    }
    return reasons;
  }
  std::set<std::string> asked() const {
    std::set<std::string> asked;
    for (const ScriptedRequest& request : server_.requests) asked.insert(permission_of(request));
    return asked;
  }
  // Nothing that was asked is not allowed, and nothing is allowed that was not asked.
  void expect_exactly_allowed(const RbacOptions& options) {
    std::set<std::string> allowed;
    for (const KubePermission& one : needed_permissions(options)) {
      for (const std::string& verb : one.verbs) {
        const std::string line = (one.name_space.empty() ? "-" : one.name_space) + " " + verb +
                                 " " + one.resource + (one.group.empty() ? "" : "." + one.group);
        if (one.names.empty()) allowed.insert(line);
        for (const std::string& name : one.names) allowed.insert(line + "/" + name);
      }
    }
    std::set<std::string> used;
    for (const std::string& one : asked()) {
      EXPECT_TRUE(allows(allowed, one)) << "not allowed: " << one;
      used.insert(allowed.count(one) > 0 ? one : one.substr(0, one.rfind('/')));
    }
    EXPECT_THAT(used, ElementsAreArray(allowed)) << "allowed, and not used";
  }
  // Somebody else leads, and renews it no more.
  void lease_of_another() {
    server_.put({{"apiVersion", "coordination.k8s.io/v1"},
                 {"kind", "Lease"},
                 {"metadata", {{"name", "epp-models-vllm.llm-d.ai"}, {"namespace", "models"}}},
                 {"spec",
                  {{"holderIdentity", "another"},
                   {"leaseDurationSeconds", 1},
                   {"renewTime", "2026-01-31T08:00:00.000000Z"}}}});
  }
  // The same event again after a while is counted, which no test waits for on a real clock.
  void repeat_an_event(const std::string& name_space) {
    VirtualExecutor executor;
    ScriptedKubeApi api(executor, server_);
    const WallClock wall;
    EventRecorder recorder(executor, api, wall, {});
    const ObjectReference about{"v1", "Pod", {name_space, "p"}, ""};
    for (int i = 0; i < 4; ++i) {
      recorder.record(about, {true, "Reason", "Action", "note"});
      executor.run_until(executor.now() + std::chrono::minutes(2));
    }
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  ScriptedApiServer server_;
  ScriptedHttpApi api_{*loop_, server_};
  std::string kubeconfig_;
  std::unique_ptr<KubeSession> session_;
  std::unique_ptr<Pool> pool_;
};

TEST_F(KubeSessionTest, RbacAllowsWhatAPickerOfAPoolAsksAndNothingMore) {
  server_.put(pool_object());
  RbacOptions rbac;
  rbac.account_namespace = "routing";
  rbac.pool_namespace = "models";
  rbac.pool_name = "vllm";
  rbac.leader_election = rbac.node_labels = rbac.metrics_auth = true;
  rbac.peers_service = "epp";
  for (const auto lists :
       {ScriptedApiServer::StreamingLists::kYes, ScriptedApiServer::StreamingLists::kInvalid}) {
    server_.streaming_lists = lists;
    if (lists == ScriptedApiServer::StreamingLists::kInvalid) lease_of_another();
    KubeChoice choice;
    choice.selection.pool_name = "vllm";
    choice.leader_election = choice.metrics_auth = true;
    choice.peers_service = "epp";
    server_.script({.what = ScriptedStep::Do::kBody,
                    .fits = "POST /apis/authentication.k8s.io/v1/tokenreviews",
                    .body = R"({"status": {"authenticated": true, "user": {"username": "u"}}})"});
    open(choice, {.node_labels = true});
    session_->follow_peers([](const std::vector<std::string>&) {});
    ASSERT_TRUE(run_until([&] { return session_->leads(); }));
    ASSERT_TRUE(run_until([&] { return server_.watches() >= 8; })) << server_.watches();
    session_->on_configuration_refused("a problem");
    int may = 0;
    session_->access()->ask("Bearer t", [&](int status) { may = status; });
    ASSERT_TRUE(run_until([&] { return may != 0; }));
    bool released = false;
    session_->release([&] { released = true; });
    ASSERT_TRUE(run_until([&] { return released; }));
    close();
  }
  repeat_an_event("models");
  repeat_an_event("routing");
  expect_exactly_allowed(rbac);
}

TEST_F(KubeSessionTest, RbacAllowsWhatSelectedPodsTakeAndNothingMore) {
  RbacOptions rbac;
  rbac.account_namespace = "routing";
  rbac.pool_namespace = "models";
  rbac.selector = true;
  for (const auto lists :
       {ScriptedApiServer::StreamingLists::kYes, ScriptedApiServer::StreamingLists::kInvalid}) {
    server_.streaming_lists = lists;
    KubeChoice choice;
    choice.selection.selector = LabelSelector::parse("app=vllm").value();
    choice.selection.target_ports = {8000};
    open(choice, {});
    EXPECT_EQ(session_->pool_name(), "kvasir-epp") << "the Deployment's";
    ASSERT_TRUE(run_until([&] { return server_.watches("/pods") > 0; }));
    close();
  }
  repeat_an_event("models");
  repeat_an_event("routing");
  expect_exactly_allowed(rbac);
}

TEST_F(KubeSessionTest, RbacAllowsWhatASidecarAsksAndNothingMore) {
  server_.put(pool_object());
  RbacOptions rbac;
  rbac.account_namespace = "routing";
  rbac.pool_namespace = "models";
  rbac.pool_name = "vllm";
  rbac.endpoints_only = true;
  for (const auto lists :
       {ScriptedApiServer::StreamingLists::kYes, ScriptedApiServer::StreamingLists::kInvalid}) {
    server_.streaming_lists = lists;
    KubeChoice choice;
    choice.selection.pool_name = "vllm";
    KubeSessionOptions options;
    options.endpoints_only = true;
    open(choice, options);
    ASSERT_TRUE(run_until(
        [&] { return server_.watches("/pods") > 0 && server_.watches("/inferencepools") > 0; }));
    close();
  }
  expect_exactly_allowed(rbac);
}

TEST_F(KubeSessionTest, APoolThatIsMissingOrSelectsNothingIsAnEventUntilItIsMended) {
  KubeChoice choice;
  choice.selection.pool_name = "vllm";
  open(choice, {});
  ASSERT_TRUE(run_until([&] { return !event_reasons().empty(); }));
  EXPECT_THAT(event_reasons(), Contains("InferencePoolMissing"));
  const Json missing = server_.all("events.k8s.io/v1", "Event").front();
  EXPECT_EQ(missing["regarding"]["kind"], "Pod") << "there is no pool that it could be about";
  EXPECT_EQ(missing["regarding"]["name"], "kvasir-epp-5d9c-x2x4z");
  EXPECT_EQ(missing["metadata"]["namespace"], "routing");

  server_.put(pool_object());
  ASSERT_TRUE(run_until([&] { return event_reasons().size() >= 2; }));
  EXPECT_THAT(event_reasons(), Contains("NoEndpoints"));

  server_.put(
      Json{{"apiVersion", "v1"},
           {"kind", "Pod"},
           {"metadata", {{"name", "w"}, {"namespace", "models"}, {"labels", {{"app", "vllm"}}}}},
           {"status",
            {{"phase", "Running"},
             {"podIP", "10.0.0.1"},
             {"conditions", {{{"type", "Ready"}, {"status", "True"}}}}}}});
  ASSERT_TRUE(run_until([&] { return event_reasons().size() >= 3; }));
  EXPECT_THAT(event_reasons(), Contains("EndpointsFound"));
}

TEST_F(KubeSessionTest, ItsOwnPodIsLookedUpForItsUid) {
  const Json own = server_.put(
      Json{{"apiVersion", "v1"},
           {"kind", "Pod"},
           {"metadata", {{"name", "kvasir-epp-5d9c-x2x4z"}, {"namespace", "routing"}}}});
  KubeChoice choice;
  choice.selection.pool_name = "vllm";
  open(choice, {});
  ASSERT_TRUE(run_until([&] { return !event_reasons().empty(); }));
  const Json missing = server_.all("events.k8s.io/v1", "Event").front();
  EXPECT_EQ(missing["regarding"]["uid"], own["metadata"]["uid"]);
}

TEST_F(KubeSessionTest, ObjectivesAndRewritesReachThePool) {
  server_.put(pool_object());
  const Json reference = {{"group", "inference.networking.k8s.io"}, {"name", "vllm"}};
  server_.put(Json{{"apiVersion", "llm-d.ai/v1alpha2"},
                   {"kind", "InferenceObjective"},
                   {"metadata", {{"name", "batch"}, {"namespace", "models"}}},
                   {"spec", {{"priority", -3}, {"poolRef", reference}}}});
  KubeChoice choice;
  choice.selection.pool_name = "vllm";
  open(choice, {});
  EXPECT_TRUE(run_until([&] {
    const auto objectives = pool_->in_use().objectives;
    return objectives != nullptr && objectives->count("batch") > 0;
  }));
}

}  // namespace
}  // namespace kvasir

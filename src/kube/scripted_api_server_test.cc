// The scripted API server answers as a real one does, so what is built on it can be believed.
#include <gmock/gmock.h>

#include "base/text.h"
#include "base/virtual_executor_fixture.h"
#include "kube/scripted_api_fronts_fixture.h"
#include "kube/scripted_api_server_fixture.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using Json = nlohmann::json;

constexpr char kPods[] = "/api/v1/namespaces/default/pods";

Json pod(const std::string& name, const std::string& app = "vllm") {
  return {{"apiVersion", "v1"},
          {"kind", "Pod"},
          {"metadata", {{"name", name}, {"labels", {{"app", app}}}}}};
}

class WatchLines final : public KubeWatchObserver {
 public:
  void on_line(std::string_view json) override {
    const Json event = Json::parse(json);
    const Json& meta = event["object"].value("metadata", Json::object());
    lines.push_back(event["type"].get<std::string>() + " " + meta.value("name", "-"));
  }
  void on_end(const KubeAnswer& answer) override { end = answer; }

  std::vector<std::string> lines;
  std::optional<KubeAnswer> end;
};

class ScriptedApiServerTest : public ::testing::Test {
 protected:
  KubeAnswer ask(std::string_view method, const std::string& target, const Json& body = {},
                 std::string_view type = "application/json") {
    std::optional<KubeAnswer> answer;
    KubeRequest request{method, target, body.is_null() ? "" : body.dump(), type};
    const auto call =
        api_.start(std::move(request), [&](KubeAnswer got) { answer = std::move(got); });
    settle();
    EXPECT_TRUE(answer.has_value()) << method << " " << target;
    return answer.value_or(KubeAnswer{});
  }
  void settle() { executor_.run_until_idle(1000); }

  VirtualExecutor executor_;
  ScriptedApiServer server_;
  ScriptedKubeApi api_{executor_, server_};
};

TEST_F(ScriptedApiServerTest, ListComesInPages) {
  for (const char* name : {"a", "b", "c"}) server_.put(pod(name));
  const Json first = Json::parse(ask("GET", std::string(kPods) + "?limit=2").body);
  EXPECT_EQ(first["items"].size(), 2u);
  EXPECT_EQ(first["kind"], "PodList");
  EXPECT_FALSE(first["items"][0].contains("kind"));
  const std::string token = first["metadata"]["continue"];
  const std::string next = std::string(kPods) + "?limit=2&continue=" + percent_encoded(token);
  const Json second = Json::parse(ask("GET", next).body);
  EXPECT_EQ(second["items"][0]["metadata"]["name"], "c");
  EXPECT_FALSE(second["metadata"].contains("continue"));
  EXPECT_EQ(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);
  server_.put(pod("d"));
  server_.compact();
  const KubeAnswer expired = ask("GET", next);
  EXPECT_EQ(expired.http_status, 410);
  EXPECT_EQ(expired.status.reason, "Expired");
  EXPECT_FALSE(expired.status.continue_token.empty());
}

TEST_F(ScriptedApiServerTest, WatchGoesOnFromAVersionAndHearsOfTheSelectedOnly) {
  server_.put(pod("old"));
  const std::string from = std::to_string(server_.version());
  server_.put(pod("a"));
  WatchLines lines;
  const auto call = api_.watch(
      std::string(kPods) + "?watch=1&labelSelector=app%3Dvllm&resourceVersion=" + from, lines);
  settle();
  server_.put(pod("b", "other"));
  server_.put(pod("a", "other"));
  server_.put(pod("a"));
  server_.remove("v1", "Pod", "a");
  settle();
  EXPECT_THAT(lines.lines, ElementsAre("ADDED a", "DELETED a", "ADDED a", "DELETED a"));
  EXPECT_EQ(server_.watches("pods"), 1u);
  server_.end_watches();
  settle();
  ASSERT_TRUE(lines.end.has_value());
  EXPECT_TRUE(lines.end->ok());
  EXPECT_EQ(server_.watches(), 0u);
}

TEST_F(ScriptedApiServerTest, WatchFromBeforeTheCompactionExpires) {
  server_.put(pod("a"));
  server_.put(pod("b"));
  server_.compact();
  WatchLines lines;
  const auto call = api_.watch(std::string(kPods) + "?watch=1&resourceVersion=1001", lines);
  settle();
  EXPECT_THAT(lines.lines, ElementsAre("ERROR -"));
  EXPECT_TRUE(lines.end.has_value());
}

TEST_F(ScriptedApiServerTest, StreamingListEndsItsFirstPartWithABookmark) {
  server_.put(pod("a"));
  const std::string target = std::string(kPods) +
                             "?watch=1&sendInitialEvents=true&allowWatchBookmarks=true"
                             "&resourceVersionMatch=NotOlderThan";
  WatchLines lines;
  const auto call = api_.watch(target, lines);
  settle();
  server_.put(pod("b"));
  server_.bookmark();
  settle();
  EXPECT_THAT(lines.lines, ElementsAre("ADDED a", "BOOKMARK -", "ADDED b", "BOOKMARK -"));
  server_.streaming_lists = ScriptedApiServer::StreamingLists::kErrorEvent;
  WatchLines unable;
  const auto second = api_.watch(target, unable);
  settle();
  EXPECT_THAT(unable.lines, ElementsAre("ERROR -"));
}

TEST_F(ScriptedApiServerTest, WritesAreLockedByTheResourceVersion) {
  const std::string leases = "/apis/coordination.k8s.io/v1/namespaces/n/leases";
  const Json lease = {{"metadata", {{"name", "l"}}}, {"spec", {{"holderIdentity", "a"}}}};
  const KubeAnswer created = ask("POST", leases, lease);
  EXPECT_EQ(created.http_status, 201);
  EXPECT_EQ(ask("POST", leases, lease).status.reason, "AlreadyExists");
  const Json read = Json::parse(ask("GET", leases + "/l").body);
  EXPECT_EQ(ask("PUT", leases + "/l", read).http_status, 200);
  EXPECT_EQ(ask("PUT", leases + "/l", read).status.reason, "Conflict");
  EXPECT_EQ(ask("PATCH", leases + "/l", {{"spec", {{"holderIdentity", "b"}}}}, kMergePatch).ok(),
            true);
  EXPECT_EQ(server_.get("coordination.k8s.io/v1", "Lease", "l", "n")["spec"]["holderIdentity"],
            "b");
}

TEST_F(ScriptedApiServerTest, FaultsHappenToTheRequestThatFits) {
  server_.put(pod("a"));
  server_.script({.fits = "pods", .code = 403, .reason = "Forbidden", .message = "no", .times = 1});
  EXPECT_EQ(ask("GET", "/api/v1/services").http_status, 200);
  EXPECT_EQ(ask("GET", kPods).status.reason, "Forbidden");
  EXPECT_EQ(ask("GET", kPods).http_status, 200);
  server_.script({.what = ScriptedStep::Do::kCut});
  EXPECT_EQ(ask("GET", kPods).http_status, 0);
  server_.tokens = {"secret"};
  EXPECT_EQ(ask("GET", kPods).http_status, 401);
  api_.token = "secret";
  EXPECT_EQ(ask("GET", kPods).http_status, 200);
  api_.go_away();
  EXPECT_EQ(ask("GET", kPods).http_status, 0);
  api_.come_back();
  server_.uninstall("v1", "Pod");
  EXPECT_EQ(ask("GET", kPods).http_status, 404);
}

TEST_F(ScriptedApiServerTest, StalledRequestIsAnsweredWhenTheTestSays) {
  server_.script({.what = ScriptedStep::Do::kStall});
  std::optional<KubeAnswer> answer;
  const auto call =
      api_.start({.method = "GET", .target = kPods}, [&](const KubeAnswer& got) { answer = got; });
  settle();
  EXPECT_FALSE(answer.has_value());
  EXPECT_EQ(server_.stalled(), 1u);
  server_.put(pod("late"));
  server_.go_on();
  settle();
  ASSERT_TRUE(answer.has_value());
  EXPECT_EQ(Json::parse(answer->body)["items"].size(), 1u);
}

TEST_F(ScriptedApiServerTest, HalfAListEndsWithALostConnection) {
  server_.put(pod("a"));
  server_.script({.what = ScriptedStep::Do::kHalf});
  EXPECT_EQ(ask("GET", kPods).http_status, 0);
  WatchLines lines;
  server_.script({.what = ScriptedStep::Do::kHalf});
  const auto call = api_.watch(std::string(kPods) + "?watch=1", lines);
  settle();
  EXPECT_THAT(lines.lines, ElementsAre());
  ASSERT_TRUE(lines.end.has_value());
  EXPECT_EQ(lines.end->http_status, 0);
}

}  // namespace
}  // namespace kvasir

#include "kvmanager/manager_server.h"

#include <gtest/gtest.h>

#include <functional>

#include "kvmanager/cache_manager_fixture.h"
#include "kvmanager/peer_watch.h"
#include "net/http/http_query.h"
#include "net/io/event_loop.h"
#include "net/io/system_resolver.h"

namespace kvasir {
namespace {

// A manager's API on a port of this machine, and a client on the same loop.
class ManagerApi {
 public:
  explicit ManagerApi(ManagerServerOptions options = {})
      : loop(std::move(EventLoop::create()).value()),
        server(*loop, listen_tcp("127.0.0.1", 0, false).value(), fleet.manager, std::move(options)),
        client(*loop, *resolve("127.0.0.1", server.port())),
        query(client, {"127.0.0.1", server.port()}) {}

  HttpAnswer get(std::string_view path) {
    query.get(path, done());
    return wait();
  }
  HttpAnswer post(std::string_view path, const std::string& body) {
    query.post_json(path, body, done());
    return wait();
  }

  ManagedFleet fleet;
  std::unique_ptr<EventLoop> loop;
  ManagerServer server;
  HttpClient client;
  HttpQuery query;

 private:
  HttpQuery::Done done() {
    return [this](Result<HttpAnswer> answer) {
      if (answer) answer_ = std::move(*answer);
      loop->stop();
    };
  }
  HttpAnswer wait() {
    answer_ = {};
    loop->run();
    return std::move(answer_);
  }

  HttpAnswer answer_;
};

TEST(ManagerServer, EachPathAnswersWithItsOwn) {
  ManagerServerOptions options;
  options.metrics_page = [] { return std::string("metric 1\n"); };
  ManagerApi api(std::move(options));
  const KvSourceId a = api.fleet.publisher("kv@a/b@m");
  api.fleet.store(a, {1, 2, 3, 4}, 10);
  struct Case {
    const char* path;
    int status;
    const char* part;
  };
  const Case cases[] = {
      {"/healthz", 200, "ok"},
      {"/readyz", 200, "ok"},
      {"/metrics", 200, "metric 1"},
      {"/api/v1/cache/state", 200, "\"total_blocks\":1,"},
      {"/api/v1/cache/pods", 200, "\"pod_id\":\"a/b\""},
      {"/api/v1/cache/pod/a%2Fb", 200, "\"blocks_cached\":1,"},
      {"/api/v1/cache/pod/nobody", 404, "no pod of that name"},
      {"/api/v1/cache/digest", 200, "\"blocks\":1,\"stamp\":1.0"},
      {"/api/v1/cache/dump", 200, "KVSNAP1\n"},
      {"/api/v1/score", 405, "POST only"},
      {"/elsewhere", 404, "nothing at this path"},
  };
  for (const Case& each : cases) {
    const HttpAnswer answer = api.get(each.path);
    EXPECT_EQ(answer.head.status(), each.status) << each.path;
    EXPECT_NE(answer.body.find(each.part), std::string::npos) << each.path << ": " << answer.body;
  }
  api.server.say_not_ready();
  EXPECT_EQ(api.get("/readyz").head.status(), 503);
}

TEST(ManagerServer, QuestionsAreAnsweredAndMeasured) {
  int scored = 0;
  ManagerServerOptions options;
  options.scored = [&scored](Duration) { ++scored; };
  ManagerApi api(std::move(options));
  api.fleet.store(api.fleet.publisher("kv@a@m"), {1, 2, 3, 4}, 10);
  const HttpAnswer score = api.post("/api/v1/score", R"({"token_ids":[1,2,3,4]})");
  EXPECT_EQ(score.head.status(), 200);
  EXPECT_NE(score.body.find("\"recommendation\":\"a\""), std::string::npos) << score.body;
  const std::vector<uint32_t> tokens = {1, 2, 3, 4};
  const HttpAnswer match =
      api.post("/api/v1/match", write_match_question({4, "", "", {}, {block_content(tokens)}}));
  const Result<MatchAnswer> read = read_match_answer(match.body);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->pods, (std::vector<MatchAnswer::Pod>{{"a", true, 4, 4}}));
  EXPECT_EQ(scored, 2);
  EXPECT_EQ(api.post("/api/v1/score", "[]").head.status(), 400);
  EXPECT_EQ(api.post("/api/v1/score", "[]").body,
            "{\"error\":\"the body is not a JSON object\"}\n");
  EXPECT_EQ(api.post("/api/v1/match", "KVM0").head.status(), 400);
  const HttpAnswer empty = api.post("/api/v1/score", R"({"candidate_pods":["a"]})");
  EXPECT_EQ(empty.head.status(), 400);
  EXPECT_EQ(empty.body,
            "{\"error\":\"there is nothing to score: token_ids, prompt or prompt_blocks is "
            "wanted\"}\n");
  EXPECT_EQ(scored, 2);
}

TEST(ManagerServer, ABodyThatIsTooLargeIsRefusedWithTheLimit) {
  ManagerServerOptions options;
  options.limits.body_bytes = 100;
  ManagerApi api(std::move(options));
  const HttpAnswer answer = api.post("/api/v1/score", std::string(101, ' '));
  EXPECT_EQ(answer.head.status(), 413);
  EXPECT_EQ(answer.body,
            "{\"error\":\"the request body is larger than the 100 bytes that this server "
            "accepts\"}\n");
}

TEST(ManagerServer, ScoresAreThoseThatOurOwnGatewayReads) {
  ManagerApi api;
  api.fleet.store(api.fleet.publisher("kv@a@m"), {1, 2, 3, 4}, 10);
  const std::string_view pods[] = {"a", "unknown"};
  const HttpAnswer answer = api.post(
      "/api/v1/score", write_score_request("m", PromptKind::kTokenIds, "[1,2,3,4,5,6,7,8]", pods));
  const auto scores = read_score_answer(answer.body);
  ASSERT_TRUE(scores);
  ASSERT_EQ(scores->size(), 1u);  // of the unknown one nothing is said
  EXPECT_EQ(scores->front().pod, "a");
  EXPECT_DOUBLE_EQ(scores->front().hit_rate, 0.5);
}

TEST(PeerWatch, TwoManagersThatDifferByOneLostEventSaySo) {
  ManagerApi api;
  ManagedFleet here;
  const KvSourceId a = here.publisher("kv@a@m");
  const KvSourceId there = api.fleet.publisher("kv@a@m");
  here.store(a, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  here.remove(a, {11});
  api.fleet.store(there, {1, 2, 3, 4, 5, 6, 7, 8}, 10);
  SystemResolver resolver;
  PeerWatchOptions options;
  options.urls = {"http://127.0.0.1:" + std::to_string(api.server.port())};
  options.interval = std::chrono::milliseconds(1);
  std::vector<std::string> said;
  PeerWatch watch(*api.loop, resolver, options, here.manager,
                  [&](const std::string& url, const PeerState& state) {
                    EXPECT_EQ(url, options.urls.front());
                    EXPECT_TRUE(state.reached) << state.problem;
                    said.push_back(std::to_string(state.differing.size()));
                    if (said.size() == 2) api.fleet.remove(there, {11});
                    if (said.size() == 3) api.loop->stop();
                  });
  api.loop->run();
  EXPECT_EQ(said, (std::vector<std::string>{"0", "1", "0"}));  // reached, differing, equal again
}

// What is said of a peer: compared/known pods, and how many differ. `next` is called each time.
std::vector<std::string> said_of_peer(ManagerApi& api, ManagedFleet& here,
                                      const std::function<void(PeerWatch& watch)>& next) {
  SystemResolver resolver;
  PeerWatchOptions options;
  options.urls = {"http://127.0.0.1:" + std::to_string(api.server.port())};
  options.interval = std::chrono::milliseconds(1);
  std::vector<std::string> said;
  PeerWatch* told = nullptr;
  PeerWatch watch(
      *api.loop, resolver, options, here.manager, [&](const std::string&, const PeerState& state) {
        said.push_back(std::to_string(state.compared) + "/" + std::to_string(state.pods) + " " +
                       std::to_string(state.differing.size()));
        next(*told);
      });
  told = &watch;
  api.loop->run();
  return said;
}

TEST(PeerWatch, HowManyPodsWereComparedIsSaidAgainWhenItIsAll) {
  ManagerApi api;
  ManagedFleet here;
  for (ManagedFleet* fleet : {&api.fleet, &here}) {
    fleet->store(fleet->publisher("kv@b@m"), {1, 2, 3, 4}, 10);
  }
  api.fleet.store(api.fleet.publisher("kv@a@m"), {1, 2, 3, 4}, 10);  // not heard here yet
  int looks = 0;
  const auto said = said_of_peer(api, here, [&](PeerWatch&) {
    if (++looks == 2) return api.loop->stop();
    here.store(here.publisher("kv@a@m"), {1, 2, 3, 4}, 10);
  });
  EXPECT_EQ(said, (std::vector<std::string>{"1/2 0", "2/2 0"}));
}

TEST(PeerWatch, NothingIsComparedWhileThisManagerLearns) {
  ManagerApi api;
  ManagedFleet here;  // which knows nothing yet
  api.fleet.store(api.fleet.publisher("kv@a@m"), {1, 2, 3, 4}, 10);
  const auto said = said_of_peer(api, here, [&](PeerWatch& watch) {
    watch.set_comparing(false);
    api.loop->after(std::chrono::milliseconds(50), [&] { api.loop->stop(); });
  });
  EXPECT_EQ(said, std::vector<std::string>{"0/1 0"});
}

TEST(PeerWatch, APeerThatCannotBeAskedIsSaidOnce) {
  std::unique_ptr<EventLoop> loop = std::move(EventLoop::create()).value();
  ManagedFleet here;
  SystemResolver resolver;
  PeerWatchOptions options;
  options.urls = {"http://127.0.0.1:1"};
  options.interval = std::chrono::milliseconds(1);
  int said = 0;
  PeerWatch watch(*loop, resolver, options, here.manager,
                  [&](const std::string&, const PeerState& state) {
                    ++said;
                    EXPECT_FALSE(state.reached);
                    EXPECT_FALSE(state.problem.empty());
                    loop->after(std::chrono::milliseconds(20), [&] { loop->stop(); });
                  });
  loop->run();
  EXPECT_EQ(said, 1);
  EXPECT_FALSE(PeerWatch::check({{"ftp://x"}}));
}

}  // namespace
}  // namespace kvasir

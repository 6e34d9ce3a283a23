// Requests and watches against a scripted API server.
#include "kube/kube_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/kube_client_fixture.h"

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;
using Json = nlohmann::json;

// --- Plain requests ---

TEST_F(KubeClientTest, RequestSaysWhoAsksAndForWhat) {
  config_.token = "secret";
  config_.path_prefix = "/k8s/c1";
  connect();
  const KubeAnswer answer = ask({"PATCH", "/x?a=b", R"({"a":1})", kMergePatch});
  EXPECT_EQ(answer.http_status, 404);
  EXPECT_EQ(answer.status.reason, "NotFound");
  EXPECT_EQ(answer.status.code, 404);
  ASSERT_EQ(server_.requests.size(), 1u);
  const ScriptedRequest& seen = server_.requests[0];
  EXPECT_EQ(seen.method, "PATCH");
  EXPECT_EQ(seen.target, "/k8s/c1/x?a=b");
  EXPECT_EQ(seen.body, R"({"a":1})");
  EXPECT_EQ(seen.content_type, "application/merge-patch+json");
  EXPECT_EQ(seen.authorization, "Bearer secret");
  EXPECT_THAT(seen.user_agent, AllOf(StartsWith("kvasir/" KVASIR_VERSION), HasSubstr(" (linux/")));
  EXPECT_EQ(get("/api/v1/pods").http_status, 404);
  EXPECT_EQ(http_->connections(), 1u);  // kept alive
}

TEST_F(KubeClientTest, AnswerThatIsNoStatusIsQuoted) {
  connect();
  server_.script({.code = 502, .body = "<html>bad\ngateway\x01</html>"});
  const KubeAnswer answer = get();
  EXPECT_EQ(answer.http_status, 502);
  EXPECT_EQ(answer.status.message, "HTTP 502 Bad Gateway: <html>bad gateway </html>");
}

TEST_F(KubeClientTest, WarningAndRetryAfterAreRead) {
  connect();
  server_.script({.code = 429,
                  .reason = "TooManyRequests",
                  .fields = "Retry-After: 7\r\nWarning: 299 - \"unknown field \\\"x\\\"\"\r\n"});
  const KubeAnswer answer = get();
  EXPECT_EQ(answer.status.retry_after_seconds, 7);
  EXPECT_EQ(answer.warning, "unknown field \"x\"");
}

TEST_F(KubeClientTest, NoServerIsSaidWithItsAddress) {
  http_->stop();
  connect();
  const KubeAnswer answer = get();
  EXPECT_EQ(answer.http_status, 0);
  EXPECT_EQ(answer.status.message, "http://127.0.0.1:" + std::to_string(http_->port()) +
                                       ": cannot connect: Connection refused");
  http_->start();
  EXPECT_TRUE(get().ok());
}

TEST_F(KubeClientTest, CutAndHalfAnswersAreFailures) {
  connect();
  for (const auto what : {ScriptedStep::Do::kCut, ScriptedStep::Do::kHalf}) {
    server_.script({.what = what, .times = 2});  // a kept connection is tried twice
    const KubeAnswer answer = get();
    EXPECT_EQ(answer.http_status, 0);
    EXPECT_THAT(answer.status.message, HasSubstr("connection lost"));
    server_.clear_script();
  }
}

TEST_F(KubeClientTest, GivenUpCallTellsNothing) {
  connect();
  server_.script({.what = ScriptedStep::Do::kStall});
  bool told = false;
  auto call = client_->start({"GET", kPods}, [&](const KubeAnswer&) { told = true; });
  run_until([&] { return server_.stalled() == 1; });
  call.reset();
  run_until([&] { return server_.stalled() == 0; });  // the server sees it go
  EXPECT_FALSE(told);
  auto never_begun = client_->start({"GET", kPods}, [&](const KubeAnswer&) { told = true; });
  never_begun.reset();
  EXPECT_TRUE(get().ok());
  EXPECT_FALSE(told);
}

// --- Limits ---

TEST_F(KubeClientTest, AnswerMustBeWholeInTime) {
  limits_.answer_timeout = kShort;
  connect();
  server_.script({.what = ScriptedStep::Do::kStall});
  const KubeAnswer answer = get();
  EXPECT_EQ(answer.http_status, 0);
  EXPECT_THAT(answer.status.message, HasSubstr("no whole answer within 0.03 s"));
}

TEST_F(KubeClientTest, ConnectionMustBeMadeInTime) {
  // A listener with a full backlog takes no connection.
  const Descriptor full(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  SocketAddress address = resolve("127.0.0.1", 0).value();
  ASSERT_EQ(bind(full.get(), reinterpret_cast<sockaddr*>(&address.storage), address.size), 0);
  ASSERT_EQ(listen(full.get(), 0), 0);
  config_.server.port = local_port(full);
  std::vector<Connecting> fillers;
  fillers.reserve(4);
  for (int i = 0; i < 4; ++i) {
    fillers.push_back(start_connect(resolve("127.0.0.1", config_.server.port).value()));
  }
  limits_.connect_timeout = kShort;
  connect();
  EXPECT_THAT(get().status.message, HasSubstr("cannot connect: no answer in time"));
}

TEST_F(KubeClientTest, AnswerIsNoLongerThanTheLimit) {
  limits_.answer_bytes_max = 100;
  connect();
  server_.script({.what = ScriptedStep::Do::kBody, .body = std::string(100, 'x')});
  EXPECT_TRUE(get().ok());
  server_.script({.what = ScriptedStep::Do::kBody, .body = std::string(101, 'x')});
  const KubeAnswer answer = get();
  EXPECT_EQ(answer.http_status, 0);
  EXPECT_THAT(answer.status.message, HasSubstr("larger than 100 bytes"));
  EXPECT_TRUE(answer.body.empty());
}

TEST_F(KubeClientTest, RequestsBeyondTheLimitWaitAndBeyondThatFail) {
  limits_.requests_max = 2;
  limits_.waiting_max = 1;
  connect();
  server_.script({.what = ScriptedStep::Do::kStall, .times = 2});
  std::vector<std::optional<KubeAnswer>> answers(4);
  std::vector<std::unique_ptr<KubeCall>> calls;
  calls.reserve(answers.size());
  for (auto& answer : answers) {
    calls.push_back(client_->start({"GET", kPods}, [&](const KubeAnswer& got) { answer = got; }));
  }
  run_until([&] { return server_.stalled() == 2 && answers[3].has_value(); });
  EXPECT_THAT(answers[3]->status.message, HasSubstr("more than 1 requests wait"));
  EXPECT_FALSE(answers[2].has_value());
  calls[0].reset();  // its place is the waiting one's
  run_until([&] { return answers[2].has_value(); });
  EXPECT_TRUE(answers[2]->ok());
  EXPECT_FALSE(answers[1].has_value());
}

TEST_F(KubeClientTest, WatchesHaveALimitOfTheirOwn) {
  limits_.watches_max = 1;
  limits_.requests_max = 1;
  connect();
  WatchedLines first, second;
  const auto one = client_->watch(std::string(kPods) + "?watch=1", first);
  auto two = client_->watch(std::string(kPods) + "?watch=1", second);
  run_until([&] { return !first.lines.empty() && second.end.has_value(); });
  EXPECT_THAT(second.end->status.message, HasSubstr("more than 1 watches"));
  EXPECT_TRUE(get().ok());  // a watch takes no request's place
}

// --- Watches ---

TEST_F(KubeClientTest, WatchIsToldLineByLine) {
  connect();
  WatchedLines lines;
  const auto call = client_->watch(std::string(kPods) + "?watch=1&resourceVersion=0", lines);
  run_until([&] { return lines.lines.size() == 1; });
  EXPECT_EQ(Json::parse(lines.lines[0])["type"], "ADDED");
  server_.say("{\"ha");
  server_.say("lf\":1}\n{\"b\":2}\n\n{\"c\"");
  server_.say(":3}\n");
  run_until([&] { return lines.lines.size() == 4; });
  EXPECT_EQ(lines.lines[1], R"({"half":1})");
  EXPECT_EQ(lines.lines[2], R"({"b":2})");
  EXPECT_EQ(lines.lines[3], R"({"c":3})");
  server_.end_watches();
  run_until([&] { return lines.end.has_value(); });
  EXPECT_TRUE(lines.end->ok());
}

TEST_F(KubeClientTest, WatchThatBreaksSaysSo) {
  connect();
  for (const bool cut : {true, false}) {
    WatchedLines lines;
    const auto call = client_->watch(std::string(kPods) + "?watch=1", lines);
    run_until([&] { return lines.lines.size() == 1; });
    server_.say("{\"half");
    cut ? server_.cut_watches() : server_.end_watches();
    run_until([&] { return lines.end.has_value(); });
    EXPECT_EQ(lines.end->http_status, 0);
    EXPECT_THAT(lines.end->status.message,
                HasSubstr(cut ? "connection lost" : "ended in the middle of an event"));
    EXPECT_EQ(lines.lines.size(), 1u);
  }
}

TEST_F(KubeClientTest, RefusedWatchGivesTheServersWords) {
  connect();
  server_.script({.code = 403, .reason = "Forbidden", .message = "pods is forbidden"});
  WatchedLines lines;
  const auto call = client_->watch(std::string(kPods) + "?watch=1", lines);
  run_until([&] { return lines.end.has_value(); });
  EXPECT_EQ(lines.end->http_status, 403);
  EXPECT_EQ(lines.end->status.message, "pods is forbidden");
  EXPECT_TRUE(lines.lines.empty());
}

TEST_F(KubeClientTest, EventIsNoLongerThanTheLimit) {
  limits_.answer_bytes_max = 300;
  connect();
  for (const bool in_pieces : {true, false}) {
    WatchedLines lines;
    const auto call = client_->watch(std::string(kPods) + "?watch=1&resourceVersion=9999", lines);
    run_until([&] { return server_.watches() == 1; });
    server_.say(std::string(300, 'x') + "\n");
    run_until([&] { return lines.lines.size() == 1; });
    if (in_pieces) {
      for (int i = 0; i < 4; ++i) server_.say(std::string(100, 'x'));
    } else {
      server_.say(std::string(301, 'x') + "\n");
    }
    run_until([&] { return lines.end.has_value(); });
    EXPECT_THAT(lines.end->status.message, HasSubstr("an event is larger than 300 bytes"));
    EXPECT_EQ(lines.lines.size(), 1u);
    run_until([&] { return server_.watches() == 0; });
  }
}

TEST_F(KubeClientTest, WatchWithoutAByteForTooLongEnds) {
  limits_.watch_idle_timeout = kShort;
  connect();
  WatchedLines lines;
  const auto call = client_->watch(std::string(kPods) + "?watch=1", lines);
  run_until([&] { return lines.end.has_value(); });
  // On a slow machine the first line, too, may be late.
  EXPECT_THAT(lines.end->status.message,
              AnyOf(HasSubstr("the answer stalled"), HasSubstr("no byte of the answer arrived")));
}

TEST_F(KubeClientTest, WatchMayBeGivenUpFromItsOwnLines) {
  connect();
  WatchedLines lines;
  std::unique_ptr<KubeCall> call;
  lines.told = [&] { call.reset(); };
  call = client_->watch(std::string(kPods) + "?watch=1", lines);
  run_until([&] { return !lines.lines.empty(); });
  run_until([&] { return server_.watches() == 0; });
  server_.put(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"b"}})");
  EXPECT_TRUE(get().ok());
  EXPECT_EQ(lines.lines.size(), 1u);
  EXPECT_FALSE(lines.end.has_value());
}

}  // namespace
}  // namespace kvasir

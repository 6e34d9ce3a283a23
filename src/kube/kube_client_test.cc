// The client against a scripted API server, over HTTP and TLS on a real loop.
#include "kube/kube_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <functional>
#include <optional>
#include <string>

#include "base/whole_file.h"
#include "kube/scripted_api_fronts_fixture.h"
#include "net/io/resolver_fixture.h"
#include "net/io/tls_fixture.h"

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::AnyOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

constexpr char kPods[] = "/api/v1/namespaces/default/pods";
constexpr Duration kShort = std::chrono::milliseconds(30);

class Lines final : public KubeWatchObserver {
 public:
  void on_line(std::string_view json) override {
    lines.emplace_back(json);
    if (told) told();
  }
  void on_end(const KubeAnswer& answer) override { end = answer; }

  std::vector<std::string> lines;
  std::optional<KubeAnswer> end;
  std::function<void()> told;
};

class KubeClientTest : public ::testing::Test {
 protected:
  KubeClientTest() : loop_(std::move(EventLoop::create().value())) {
    std::string name = (std::filesystem::temp_directory_path() / "kvasir_client_XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    server_.put(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a"}})");
    serve();
  }
  ~KubeClientTest() override { std::filesystem::remove_all(folder_); }

  void serve(const std::string& tls = {}) {
    client_.reset();
    http_.reset();
    http_ = std::make_unique<ScriptedHttpApi>(*loop_, server_, tls);
    config_ = http_->config();
  }
  void connect() {
    client_.reset();
    auto client = KubeClient::create(*loop_, resolver_, config_, limits_);
    ASSERT_TRUE(client.ok()) << client.error().message;
    client_ = std::move(*client);
  }
  std::string refusal() {
    auto client = KubeClient::create(*loop_, resolver_, config_, limits_);
    return client.ok() ? "none" : client.error().message;
  }
  std::string write(const std::string& name, const std::string& text) {
    std::string path = folder_ + "/" + name;
    std::ofstream(path + ".fresh") << text;
    std::filesystem::rename(path + ".fresh", path);
    return path;
  }
  // A program that prints what `text` says after "printf".
  void use_program(const std::string& script) {
    const std::string path = write("plugin", "#!/bin/sh\n" + script + "\n");
    chmod(path.c_str(), 0755);
    config_.exec = {ExecCredential{}};
    config_.exec[0].api_version = "client.authentication.k8s.io/v1";
    config_.exec[0].command = path;
  }
  static std::string prints(const std::string& status) {
    return "echo '{\"kind\":\"ExecCredential\",\"apiVersion\":\"client.authentication.k8s.io/v1\","
           "\"status\":" +
           status + "}'";
  }

  void run_until(const std::function<bool()>& done) {
    for (int turn = 0; turn < 20'000 && !done(); ++turn) {
      const TimerId tick = loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
      loop_->run();
      loop_->cancel(tick);
    }
    EXPECT_TRUE(done());
  }
  KubeAnswer ask(KubeRequest request) {
    std::optional<KubeAnswer> answer;
    const auto call = client_->start(std::move(request), [&](KubeAnswer got) {
      EXPECT_FALSE(answer.has_value());
      answer = std::move(got);
    });
    EXPECT_FALSE(answer.has_value());  // later
    run_until([&] { return answer.has_value(); });
    return answer.value_or(KubeAnswer{});
  }
  KubeAnswer get(const std::string& target = kPods) { return ask({"GET", target}); }

  std::unique_ptr<EventLoop> loop_;
  FakeResolver resolver_;
  ScriptedApiServer server_;
  std::unique_ptr<ScriptedHttpApi> http_;
  KubeConfig config_;
  KubeClientLimits limits_;
  std::unique_ptr<KubeClient> client_;
  std::string folder_;
};

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
  Lines first, second;
  const auto one = client_->watch(std::string(kPods) + "?watch=1", first);
  auto two = client_->watch(std::string(kPods) + "?watch=1", second);
  run_until([&] { return !first.lines.empty() && second.end.has_value(); });
  EXPECT_THAT(second.end->status.message, HasSubstr("more than 1 watches"));
  EXPECT_TRUE(get().ok());  // a watch takes no request's place
}

// --- Watches ---

TEST_F(KubeClientTest, WatchIsToldLineByLine) {
  connect();
  Lines lines;
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
    Lines lines;
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
  Lines lines;
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
    Lines lines;
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
  Lines lines;
  const auto call = client_->watch(std::string(kPods) + "?watch=1", lines);
  run_until([&] { return lines.end.has_value(); });
  // On a slow machine the first line, too, may be late.
  EXPECT_THAT(lines.end->status.message,
              AnyOf(HasSubstr("the answer stalled"), HasSubstr("no byte of the answer arrived")));
}

TEST_F(KubeClientTest, WatchMayBeGivenUpFromItsOwnLines) {
  connect();
  Lines lines;
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

// --- Tokens ---

TEST_F(KubeClientTest, TokenFileIsReadAgainAfterA401AndSentOnceMore) {
  config_.token_file = write("token", "old\n");
  server_.tokens = {"old"};
  connect();
  EXPECT_TRUE(get().ok());
  write("token", "new\n");
  server_.tokens = {"new"};
  EXPECT_TRUE(get().ok());
  EXPECT_EQ(server_.requests.size(), 3u);
  server_.tokens = {"other"};
  EXPECT_EQ(get().http_status, 401);
  EXPECT_EQ(server_.requests.size(), 4u);  // the file has no other: once is enough
}

TEST_F(KubeClientTest, TokenFileIsReadAgainNowAndThen) {
  config_.token_file = write("token", "old");
  limits_.token_reread = Duration::zero();
  connect();
  EXPECT_TRUE(get().ok());
  write("token", "new");
  EXPECT_TRUE(get().ok());
  EXPECT_EQ(server_.requests.back().authorization, "Bearer new");
  std::filesystem::remove(config_.token_file);  // while it is replaced, for example
  EXPECT_TRUE(get().ok());
  EXPECT_EQ(server_.requests.back().authorization, "Bearer new");
  server_.tokens = {"newer"};
  EXPECT_THAT(get().status.message, AllOf(StartsWith("Unauthorized ("),
                                          HasSubstr(config_.token_file + ": No such file")));
}

TEST_F(KubeClientTest, WatchIsRetriedWithANewTokenToo) {
  config_.token_file = write("token", "old");
  connect();
  EXPECT_TRUE(get().ok());
  write("token", "new");
  server_.tokens = {"new"};
  Lines lines;
  const auto call = client_->watch(std::string(kPods) + "?watch=1", lines);
  run_until([&] { return lines.lines.size() == 1; });
  EXPECT_FALSE(lines.end.has_value());
}

TEST_F(KubeClientTest, FixedTokenAndPassword) {
  config_.token = "fixed";
  server_.tokens = {"other"};
  connect();
  EXPECT_EQ(get().http_status, 401);
  EXPECT_EQ(server_.requests.size(), 1u);
  config_.token.clear();
  config_.user_name = "me";
  config_.password = "hush";
  connect();
  get();
  EXPECT_EQ(server_.requests.back().authorization, "Basic bWU6aHVzaA==");
}

TEST_F(KubeClientTest, UnusableTokensAreRefusedAtTheStart) {
  config_.token_file = folder_ + "/absent";
  EXPECT_THAT(refusal(), HasSubstr("/absent"));
  config_.token_file = write("token", " \n");
  EXPECT_THAT(refusal(), HasSubstr("/token holds no token"));
  config_.token_file = write("token", "hush\r\nX-Remote-User: admin");
  EXPECT_THAT(refusal(), AllOf(HasSubstr("/token holds a character that no token has"),
                               Not(HasSubstr("hush"))));
}

// --- Programs that say the token ---

TEST_F(KubeClientTest, ProgramIsAskedOnceForAllThatWait) {
  use_program("echo run >> " + folder_ + "/runs; " + prints(R"({"token":"t1"})"));
  server_.tokens = {"t1"};
  connect();
  std::vector<std::optional<KubeAnswer>> answers(3);
  std::vector<std::unique_ptr<KubeCall>> calls;
  calls.reserve(answers.size());
  for (auto& answer : answers) {
    calls.push_back(client_->start({"GET", kPods}, [&](const KubeAnswer& got) { answer = got; }));
  }
  run_until([&] { return answers[0] && answers[1] && answers[2]; });
  for (const auto& answer : answers) EXPECT_TRUE(answer->ok()) << answer->status.message;
  EXPECT_TRUE(get().ok());
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/runs"), 4u);
}

TEST_F(KubeClientTest, ProgramIsAskedAgainAfterA401AndWhenItsTokenHasExpired) {
  use_program("echo run >> " + folder_ + "/runs; " + prints(R"({"token":"t1"})"));
  connect();
  EXPECT_TRUE(get().ok());
  server_.tokens = {"t2"};
  use_program("echo run >> " + folder_ + "/runs; " +
              prints(R"({"token":"t2","expirationTimestamp":"2020-01-01T00:00:00Z"})"));
  EXPECT_TRUE(get().ok());
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/runs"), 8u);
  EXPECT_TRUE(get().ok());  // expired
  EXPECT_EQ(std::filesystem::file_size(folder_ + "/runs"), 12u);
}

TEST_F(KubeClientTest, ProgramIsToldAboutTheCluster) {
  use_program("printf '%s' \"$KUBERNETES_EXEC_INFO\" > " + folder_ +
              "/info; echo \"$1 $EXTRA\" > " + folder_ + "/arguments; " +
              prints(R"({"token":"t"})"));
  config_.exec[0].arguments = {"one"};
  config_.exec[0].environment = {{"EXTRA", "two"}};
  config_.exec[0].provide_cluster_info = true;
  config_.exec_cluster_json = R"({"audience":"x"})";
  connect();
  EXPECT_TRUE(get().ok());
  std::ifstream info_file(folder_ + "/info");
  const Json info = Json::parse(info_file);
  EXPECT_EQ(info["kind"], "ExecCredential");
  EXPECT_EQ(info["apiVersion"], "client.authentication.k8s.io/v1");
  EXPECT_EQ(info["spec"]["interactive"], false);
  EXPECT_EQ(info["spec"]["cluster"]["server"], "http://127.0.0.1:" + std::to_string(http_->port()));
  EXPECT_EQ(info["spec"]["cluster"]["config"]["audience"], "x");
  std::ifstream arguments_file(folder_ + "/arguments");
  std::string arguments;
  std::getline(arguments_file, arguments);
  EXPECT_EQ(arguments, "one two");
}

TEST_F(KubeClientTest, ProgramThatFailsIsToldWithoutItsOutput) {
  constexpr Duration kLong = std::chrono::minutes(1);
  const struct {
    std::string script;
    const char* expected;
    Duration timeout;
  } cases[] = {
      {"echo hush; exit 3", "plugin exited with status 3", kLong},
      {"echo hush; kill -9 $$", "plugin was killed by signal 9", kLong},
      {"echo hush", "is not a JSON object", kLong},
      {prints(R"({"hush":1})"), "has neither status.token", kLong},
      {prints(R"({"token":"hush hush"})"), "holds a character that no token has", kLong},
      {"head -c 300000 /dev/zero", "printed more than 200000 bytes", kLong},
      {"echo hush; sleep 600", "did not end within 0.03 s", kShort},
      {"exec 1>&-; sleep 600", "did not end within 0.03 s", kShort},
  };
  limits_.exec_output_bytes_max = 200'000;
  for (const auto& test : cases) {
    limits_.exec_timeout = test.timeout;
    use_program(test.script);
    connect();
    const KubeAnswer answer = get();
    EXPECT_EQ(answer.http_status, 0);
    EXPECT_THAT(answer.status.message, AllOf(HasSubstr(test.expected), Not(HasSubstr("hush"))))
        << test.script;
  }
  EXPECT_TRUE(server_.requests.empty());
}

TEST_F(KubeClientTest, ProgramThatIsAbsentIsToldWithItsHint) {
  use_program("");
  config_.exec[0].command = "kvasir-no-such-plugin";
  config_.exec[0].install_hint = "apt install it";
  connect();
  EXPECT_THAT(get().status.message, HasSubstr("the program kvasir-no-such-plugin cannot be run: "
                                              "No such file or directory; apt install it"));
}

TEST_F(KubeClientTest, ProgramIsKilledWithTheClient) {
  use_program("echo $$ > " + folder_ + "/pid; exec sleep 600");
  connect();
  auto call = client_->start({"GET", kPods}, [](const KubeAnswer&) { FAIL(); });
  std::ifstream file;
  pid_t pid = 0;
  run_until([&] {
    std::ifstream now(folder_ + "/pid");
    return static_cast<bool>(now >> pid);
  });
  call.reset();
  client_.reset();
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(KubeClientTest, CertificateOfAProgramIsShown) {
  TlsFolder folder;
  folder.write_pair();
  serve(folder.path());
  use_program(prints(R"({"clientCertificateData":"no PEM","clientKeyData":"hush"})"));
  connect();
  EXPECT_THAT(get().status.message,
              AllOf(HasSubstr("the client's certificate cannot be used"), Not(HasSubstr("hush"))));
}

// --- TLS and names ---

TEST_F(KubeClientTest, ServerIsBelievedByItsCa) {
  TlsFolder folder;
  folder.write_pair();
  serve(folder.path());
  connect();
  EXPECT_TRUE(get().ok());
  TlsFolder other;
  other.write_pair();
  config_.ca_file = other.path() + "/tls.crt";
  connect();
  EXPECT_THAT(get().status.message,
              AllOf(StartsWith("https://127.0.0.1:"), HasSubstr("certificate is not accepted")));
  config_.ca_file.clear();
  config_.check_server = false;
  connect();
  EXPECT_TRUE(get().ok());
}

TEST_F(KubeClientTest, ServersNameMayBeAnother) {
  TlsFolder folder;
  folder.write_pair();  // for localhost and 127.0.0.1
  serve(folder.path());
  resolver_.set("api.test", {"127.0.0.1"});
  config_.server.host = "api.test";
  connect();
  EXPECT_FALSE(get().ok());
  config_.tls_server_name = "localhost";
  connect();
  EXPECT_TRUE(get().ok());
}

TEST_F(KubeClientTest, NewCaIsReadWhenTheServersCertificateChanges) {
  TlsFolder folder;
  folder.write_pair();
  serve(folder.path());
  config_.ca_file = write("ca.crt", read_whole_file(folder.path() + "/tls.crt", 10'000).value());
  connect();
  EXPECT_TRUE(get().ok());
  http_->stop();
  folder.write_pair();
  http_->reload_certificate();
  http_->start();
  EXPECT_FALSE(get().ok());  // the file has the old one still
  write("ca.crt", "no PEM");
  EXPECT_THAT(get().status.message, AllOf(HasSubstr("certificate is not accepted"),
                                          HasSubstr("holds no certificate (PEM)")));
  write("ca.crt", read_whole_file(folder.path() + "/tls.crt", 10'000).value());
  EXPECT_TRUE(get().ok());
}

TEST_F(KubeClientTest, UnusableCertificatesAreRefusedAtTheStart) {
  config_.tls = true;
  config_.ca_file = folder_ + "/absent";
  EXPECT_THAT(refusal(), HasSubstr("/absent"));
  config_.ca_file.clear();
  config_.ca_data = "no PEM";
  EXPECT_THAT(refusal(), HasSubstr("the CA's certificate holds no certificate"));
  config_.ca_data.clear();
  config_.certificate_data = "no PEM";
  config_.key_data = "hush";
  EXPECT_THAT(refusal(),
              AllOf(HasSubstr("the client's certificate cannot be used"), Not(HasSubstr("hush"))));
}

TEST_F(KubeClientTest, NameIsLookedUpAgainWhenNobodyIsThere) {
  config_.server.host = "api.test";
  connect();
  EXPECT_THAT(get().status.message, HasSubstr("cannot look up api.test: the resolver is away"));
  resolver_.set("api.test", {"127.0.0.2"});
  EXPECT_THAT(get().status.message, HasSubstr("Connection refused"));
  resolver_.set("api.test", {"127.0.0.1"});
  EXPECT_TRUE(get().ok());
  const int before = resolver_.look_ups("api.test");
  EXPECT_TRUE(get().ok());
  EXPECT_EQ(resolver_.look_ups("api.test"), before);
}

TEST_F(KubeClientTest, NextAddressIsTriedWhenNobodyIsAtTheFirst) {
  config_.server.host = "api.test";
  resolver_.set("api.test", {"127.0.0.2", "127.0.0.1"});
  connect();
  EXPECT_FALSE(get().ok());
  EXPECT_TRUE(get().ok());
}

}  // namespace
}  // namespace kvasir

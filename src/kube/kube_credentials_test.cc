// Who the client says it is: tokens, passwords, programs.
#include "kube/kube_credentials.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "kube/kube_client_fixture.h"
#include "net/io/tls_fixture.h"

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;
using Json = nlohmann::json;

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
  WatchedLines lines;
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

}  // namespace
}  // namespace kvasir

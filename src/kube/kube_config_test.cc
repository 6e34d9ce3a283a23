#include "kube/kube_config.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <string>

namespace kvasir {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::Pair;

constexpr char kFull[] = R"(
apiVersion: v1
kind: Config
current-context: one
preferences: {}
clusters:
- name: c1
  cluster:
    server: https://10.0.0.1:6443
    certificate-authority: pki/ca.crt
    tls-server-name: kubernetes
    extensions:
    - name: client.authentication.k8s.io/exec
      extension: {audience: "a\"b", deep: [1, true, 1.5, null]}
- name: c2
  cluster:
    server: https://[::1]/k8s/clusters/x/
    certificate-authority-data: cGVt
    certificate-authority: not-read
- name: plain
  cluster: {server: "http://127.0.0.1:8080"}
- name: bare
  cluster: {server: "localhost:8080"}
- name: open
  cluster: {server: "https://x.example", insecure-skip-tls-verify: true}
users:
- name: u1
  user: {client-certificate: /abs/a.crt, client-key-data: a2V5}
- name: token
  user: {token: secret-word}
- name: file
  user: {tokenFile: tok, token: fallback}
- name: basic
  user: {username: me, password: hush}
- name: exec
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      command: ./get-token
      args: [--cluster, x]
      env: [{name: A, value: b}]
      provideClusterInfo: true
      installHint: install it
      interactiveMode: IfAvailable
contexts:
- name: one
  context: {cluster: c1, user: u1, namespace: prod}
- name: two
  context: {cluster: c2, user: token}
- name: three
  context: {cluster: plain, user: exec}
- name: four
  context: {cluster: bare, user: file}
- name: five
  context: {cluster: open, user: basic}
- name: six
  context: {cluster: open}
)";

Result<KubeConfig> parse(const std::string& text, const std::string& context = {}) {
  return parse_kubeconfig({{"/etc/kc", "/etc", text}}, context);
}

TEST(Kubeconfig, CurrentContextSaysClusterUserAndNamespace) {
  const auto config = parse(kFull);
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->server.host, "10.0.0.1");
  EXPECT_EQ(config->server.port, 6443);
  EXPECT_TRUE(config->tls);
  EXPECT_EQ(config->ca_file, "/etc/pki/ca.crt");
  EXPECT_EQ(config->tls_server_name, "kubernetes");
  EXPECT_EQ(config->certificate_file, "/abs/a.crt");
  EXPECT_EQ(config->key_data, "key");
  EXPECT_EQ(config->name_space, "prod");
  EXPECT_EQ(config->source, "/etc/kc (context one)");
  EXPECT_EQ(config->exec_cluster_json, R"({"audience":"a\"b","deep":[1,true,1.5,null]})");
  EXPECT_EQ(server_url(*config), "https://10.0.0.1:6443");
}

TEST(Kubeconfig, TextInTheFileCountsBeforeAFileName) {
  const auto config = parse(kFull, "two");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->ca_data, "pem");
  EXPECT_EQ(config->ca_file, "");
  EXPECT_EQ(config->server.host, "::1");
  EXPECT_EQ(config->server.port, 443);
  EXPECT_EQ(config->path_prefix, "/k8s/clusters/x");
  EXPECT_EQ(config->token, "secret-word");
  EXPECT_EQ(config->name_space, "default");
  EXPECT_EQ(server_url(*config), "https://[::1]:443/k8s/clusters/x");
}

TEST(Kubeconfig, ExecIsReadWhole) {
  const auto config = parse(kFull, "three");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_FALSE(config->tls);
  ASSERT_EQ(config->exec.size(), 1u);
  const ExecCredential& exec = config->exec[0];
  EXPECT_EQ(exec.api_version, "client.authentication.k8s.io/v1");
  EXPECT_EQ(exec.command, "/etc/./get-token");
  EXPECT_THAT(exec.arguments, ElementsAre("--cluster", "x"));
  EXPECT_THAT(exec.environment, ElementsAre(Pair("A", "b")));
  EXPECT_EQ(exec.install_hint, "install it");
  EXPECT_TRUE(exec.provide_cluster_info);
}

TEST(Kubeconfig, TokenFileNameAndPasswordAndNobody) {
  EXPECT_EQ(parse(kFull, "four")->token_file, "/etc/tok");
  EXPECT_EQ(parse(kFull, "four")->token, "fallback");
  EXPECT_FALSE(parse(kFull, "four")->tls);
  EXPECT_EQ(parse(kFull, "four")->server.port, 8080);
  EXPECT_EQ(parse(kFull, "five")->user_name, "me");
  EXPECT_FALSE(parse(kFull, "five")->check_server);
  EXPECT_TRUE(parse(kFull, "six")->token.empty());
}

TEST(Kubeconfig, OfSeveralFilesTheFirstThatHasANameCounts) {
  const std::string first = R"(
clusters: [{name: c, cluster: {server: "https://first"}}]
contexts: [{name: x, context: {cluster: c, user: u}}]
)";
  const std::string second = R"(
current-context: x
clusters: [{name: c, cluster: {server: "https://second", certificate-authority: ca}}]
users: [{name: u, user: {tokenFile: t}}]
contexts: [{name: x, context: {cluster: c, user: nobody}}]
)";
  const auto config = parse_kubeconfig({{"/a/one", "/a", first}, {"/b/two", "/b", second}});
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->server.host, "first");
  EXPECT_EQ(config->ca_file, "");
  EXPECT_EQ(config->token_file, "/b/t");
  EXPECT_EQ(config->source, "/a/one, /b/two (context x)");
}

// A whole file around one cluster and one user, both in flow style.
std::string file_of(const std::string& cluster, const std::string& user = "{}") {
  return "current-context: x\ncontexts: [{name: x, context: {cluster: c, user: u}}]\nclusters:\n"
         "- name: c\n  cluster: " +
         cluster + "\nusers:\n- name: u\n  user: " + user + "\n";
}

// As kubectl, minikube and other writers leave them.
TEST(KubeConfig, FieldsThatSayNothingAreAsThoughTheyWereNotThere) {
  const auto config =
      parse(file_of("{server: \"https://a\", proxy-url: \"\", certificate-authority: \"\"}",
                    "{token: t, as: \"\", as-groups: [], as-user-extra: {}, auth-provider: null}"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->token, "t");
  const auto exec =
      parse(file_of("{server: \"https://a\"}",
                    "{exec: {apiVersion: client.authentication.k8s.io/v1beta1, command: /auth.sh, "
                    "args: null, env: null, provideClusterInfo: false}}"));
  ASSERT_TRUE(exec.ok()) << exec.error().message;
  EXPECT_EQ(exec->exec.at(0).arguments.size() + exec->exec.at(0).environment.size(), 0u);
}

// Some writers of YAML put the base64 into base64 once more, and fold it.
TEST(KubeConfig, DataMayBeYamlsBinary) {
  const auto config = parse(
      file_of("\n    server: https://a\n    certificate-authority-data: !!binary |\n      Y0dWdE\n"
              "      NnPT0K\n"));
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(config->ca_data, "pem\n");
}

struct BadKubeconfig {
  const char* name;
  std::string text;
  const char* expected;  // part of the Error
};

class BadKubeconfigs : public ::testing::TestWithParam<BadKubeconfig> {};

TEST_P(BadKubeconfigs, AreRefusedWithFileAndKeyAndWithoutSecrets) {
  const auto config = parse(GetParam().text);
  ASSERT_FALSE(config.ok());
  EXPECT_THAT(config.error().message,
              AllOf(HasSubstr("/etc/kc"), HasSubstr(GetParam().expected), Not(HasSubstr("hush"))));
}

const std::string kServer = "{server: \"https://a\"}";

INSTANTIATE_TEST_SUITE_P(
    All, BadKubeconfigs,
    ::testing::Values(
        BadKubeconfig{"Empty", "", "no current-context is set"},
        BadKubeconfig{"NoYaml", "a: [", "not YAML"},
        BadKubeconfig{"Utf16",
                      std::string("\xff\xfe"
                                  "a\0:\0",
                                  6),
                      "line 1: a zero byte; this is no text in UTF-8"},
        BadKubeconfig{"NoMap", "- a\n", "no current-context"},
        BadKubeconfig{"NumberAsToken", file_of(kServer, "{token: 123456789012345678901234567890}"),
                      "line 8: cannot be read"},
        BadKubeconfig{"SmallNumberAsToken", file_of(kServer, "{token: 12345}"),
                      "line 8: users[u].user.token: must be a text, not a number: put it in"},
        BadKubeconfig{"NoContext", "current-context: y\ncontexts: [{name: x}, {name: z}]",
                      "there is no \"y\" among its contexts: x, z"},
        BadKubeconfig{"NoCluster", "current-context: x\ncontexts: [{name: x, context: {}}]",
                      "contexts[x].context.cluster: is missing"},
        BadKubeconfig{"UnknownCluster",
                      "current-context: x\ncontexts: [{name: x, context: {cluster: q}}]",
                      "there is no \"q\" among its clusters: none"},
        BadKubeconfig{"NoServer", file_of("{}"), "clusters[c].cluster.server: is missing"},
        BadKubeconfig{"NoPort", file_of("{server: \"https://a:99999\"}"),
                      "line 5: clusters[c].cluster.server: must be like https://HOST:PORT"},
        BadKubeconfig{"BadBracket", file_of("{server: \"https://[::1\"}"), "must be like"},
        BadKubeconfig{"BareIpv6", file_of("{server: \"https://::1\"}"), "must be like"},
        BadKubeconfig{"Header", file_of("{server: \"https://a\\r\\nX: y\"}"), "must be like"},
        BadKubeconfig{"OtherScheme", file_of("{server: \"ftp://a\"}"), "must be like"},
        BadKubeconfig{"Proxy", file_of("{server: \"https://a\", proxy-url: \"http://p\"}"),
                      "clusters[c].cluster.proxy-url: proxies are not supported"},
        BadKubeconfig{"CaAndInsecure",
                      file_of("{server: \"https://a\", insecure-skip-tls-verify: true, "
                              "certificate-authority: x}"),
                      "insecure-skip-tls-verify: a certificate-authority is given too"},
        BadKubeconfig{"FlagAsText",
                      file_of("{server: \"https://a\", insecure-skip-tls-verify: \"yes\"}"),
                      "must be true or false"},
        BadKubeconfig{"NoBase64",
                      file_of("{server: \"https://a\", certificate-authority-data: "
                              "\"hush!\"}"),
                      "certificate-authority-data: is not base64"},
        BadKubeconfig{"NoKey", file_of(kServer, "{client-certificate: a}"),
                      "users[u].user.client-key: is missing"},
        BadKubeconfig{"NoCertificate", file_of(kServer, "{client-key: a}"),
                      "users[u].user.client-certificate: is missing"},
        BadKubeconfig{"TokenAndExec", file_of(kServer, "{token: hush, exec: {command: x}}"),
                      "users[u].user: says more than one of token, username and exec"},
        BadKubeconfig{"AuthProvider", file_of(kServer, "{auth-provider: {name: gcp}}"),
                      "auth-provider: was removed from Kubernetes in 1.26: use exec"},
        BadKubeconfig{"Impersonation", file_of(kServer, "{as: root}"), "user.as: acting as"},
        BadKubeconfig{"ExecVersion",
                      file_of(kServer,
                              "{exec: {command: x, apiVersion: "
                              "client.authentication.k8s.io/v1alpha1}}"),
                      "users[u].user.exec.apiVersion: must be"},
        BadKubeconfig{"ExecWithoutCommand",
                      file_of(kServer, "{exec: {apiVersion: client.authentication.k8s.io/v1}}"),
                      "users[u].user.exec.command: is missing"},
        BadKubeconfig{"ExecAsks",
                      file_of(kServer,
                              "{exec: {command: x, interactiveMode: Always, "
                              "apiVersion: client.authentication.k8s.io/v1}}"),
                      "interactiveMode: Always: there is nobody to ask"},
        BadKubeconfig{"ExecArguments",
                      file_of(kServer,
                              "{exec: {command: x, args: [1], "
                              "apiVersion: client.authentication.k8s.io/v1}}"),
                      "args: must be a list of texts"},
        BadKubeconfig{"ExecEnvironment",
                      file_of(kServer,
                              "{exec: {command: x, env: [{value: a}], "
                              "apiVersion: client.authentication.k8s.io/v1}}"),
                      "env[].name: is missing"}),
    [](const auto& test) { return std::string(test.param.name); });

// --- Files and the environment ---

class KubeConfigFiles : public ::testing::Test {
 protected:
  KubeConfigFiles() {
    std::string name = (std::filesystem::temp_directory_path() / "kvasir_kc_XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
    for (const char* variable :
         {"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "HOME"}) {
      const char* value = getenv(variable);
      if (value != nullptr) before_[variable] = value;
      unsetenv(variable);
    }
    setenv("HOME", folder_.c_str(), 1);
  }
  ~KubeConfigFiles() override {
    for (const char* variable :
         {"KUBECONFIG", "KUBERNETES_SERVICE_HOST", "KUBERNETES_SERVICE_PORT", "HOME"}) {
      unsetenv(variable);
    }
    for (const auto& [variable, value] : before_) setenv(variable.c_str(), value.c_str(), 1);
    std::filesystem::remove_all(folder_);
  }
  std::string write(const std::string& name, const std::string& text) {
    const std::filesystem::path path = std::filesystem::path(folder_) / name;
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << text;
    return path.string();
  }
  void be_in_cluster() {
    setenv("KUBERNETES_SERVICE_HOST", "10.96.0.1", 1);
    setenv("KUBERNETES_SERVICE_PORT", "443", 1);
  }

  std::string folder_;
  std::map<std::string, std::string> before_;
};

TEST_F(KubeConfigFiles, InsideAPodTheServiceAccountIsUsed) {
  be_in_cluster();
  write("sa/token", "t\n");
  write("sa/ca.crt", "pem");
  write("sa/namespace", "prod\n");
  const auto config = in_cluster_config(folder_ + "/sa");
  ASSERT_TRUE(config.ok()) << config.error().message;
  EXPECT_EQ(to_string(config->server), "10.96.0.1:443");
  EXPECT_EQ(config->token_file, folder_ + "/sa/token");
  EXPECT_EQ(config->ca_file, folder_ + "/sa/ca.crt");
  EXPECT_EQ(config->name_space, "prod");
  EXPECT_EQ(config->source, "in-cluster");
}

TEST_F(KubeConfigFiles, PodWithoutATokenIsToldWhatToLookAt) {
  EXPECT_THAT(in_cluster_config(folder_).error().message, HasSubstr("this is not a pod"));
  be_in_cluster();
  EXPECT_THAT(in_cluster_config(folder_).error().message,
              AllOf(HasSubstr(folder_ + "/token"), HasSubstr("automountServiceAccountToken")));
  setenv("KUBERNETES_SERVICE_PORT", "https", 1);
  EXPECT_THAT(in_cluster_config(folder_).error().message, HasSubstr("must be a port"));
}

TEST_F(KubeConfigFiles, FlagCountsBeforeTheEnvironmentAndThatBeforeHome) {
  const auto file = [](const std::string& host) {
    return file_of("{server: \"https://" + host + "\"}");
  };
  write(".kube/config", file("home"));
  EXPECT_EQ(find_kube_config("")->server.host, "home");
  const std::string second = write("second", file("second"));
  setenv("KUBECONFIG", (folder_ + "/absent:" + second).c_str(), 1);
  EXPECT_EQ(find_kube_config("")->server.host, "second");
  const std::string flag = write("flag", file("flag"));
  EXPECT_EQ(find_kube_config(flag)->server.host, "flag");
  EXPECT_THAT(find_kube_config(folder_ + "/no").error().message, HasSubstr(folder_ + "/no"));
}

TEST_F(KubeConfigFiles, WhenThereIsNothingTheErrorNamesAllThatWasTried) {
  EXPECT_THAT(find_kube_config("").error().message,
              AllOf(HasSubstr("--kubeconfig"), HasSubstr("$KUBECONFIG"), HasSubstr("in-cluster"),
                    HasSubstr(folder_ + "/.kube/config")));
  setenv("KUBECONFIG", "/nowhere/a:/nowhere/b", 1);
  EXPECT_THAT(find_kube_config("").error().message, HasSubstr("/nowhere/a:/nowhere/b"));
}

}  // namespace
}  // namespace kvasir

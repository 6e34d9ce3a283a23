#include "apps/kube_rbac.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>
#include <fstream>
#include <sstream>

#include "apps/commands.h"

namespace kvasir {
namespace {

using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

// "NAMESPACE VERB RESOURCE.GROUP[/NAME]", of each verb.
std::vector<std::string> lines_of(const RbacOptions& options) {
  std::vector<std::string> lines;
  for (const KubePermission& one : needed_permissions(options)) {
    for (const std::string& verb : one.verbs) {
      std::string line = (one.name_space.empty() ? "-" : one.name_space) + " " + verb + " " +
                         one.resource + (one.group.empty() ? "" : "." + one.group);
      for (const std::string& name : one.names) line += "/" + name;
      lines.push_back(line);
    }
  }
  return lines;
}

TEST(KubeRbac, APoolTakesItsPodsAndItsOwnObjects) {
  RbacOptions options;
  options.pool_name = "vllm";
  options.pool_namespace = "models";
  EXPECT_THAT(
      lines_of(options),
      ElementsAre("models list pods", "models watch pods",
                  "models list inferencepools.inference.networking.k8s.io",
                  "models watch inferencepools.inference.networking.k8s.io",
                  "models list inferenceobjectives.llm-d.ai",
                  "models watch inferenceobjectives.llm-d.ai",
                  "models list inferencemodelrewrites.llm-d.ai",
                  "models watch inferencemodelrewrites.llm-d.ai",
                  "models list inferenceobjectives.inference.networking.x-k8s.io",
                  "models watch inferenceobjectives.inference.networking.x-k8s.io",
                  "models list inferencemodelrewrites.inference.networking.x-k8s.io",
                  "models watch inferencemodelrewrites.inference.networking.x-k8s.io",
                  "models create events.events.k8s.io", "models patch events.events.k8s.io"));
}

TEST(KubeRbac, ASelectorReadsPodsAlone) {
  RbacOptions options;
  options.selector = true;
  EXPECT_THAT(lines_of(options), ElementsAre("default list pods", "default watch pods",
                                             "default create events.events.k8s.io",
                                             "default patch events.events.k8s.io"));
}

TEST(KubeRbac, EachOptionAddsWhatItTakesWhereItTakesIt) {
  RbacOptions options;
  options.pool_name = "vllm";
  options.pool_namespace = "models";
  options.account_namespace = "routing";
  options.leader_election = true;
  options.peers_service = "epp";
  options.node_labels = true;
  const std::vector<std::string> lines = lines_of(options);
  EXPECT_THAT(lines, Contains("models create leases.coordination.k8s.io"));
  EXPECT_THAT(lines, Contains("models get leases.coordination.k8s.io/epp-models-vllm.llm-d.ai"));
  EXPECT_THAT(lines, Contains("models watch leases.coordination.k8s.io/epp-models-vllm.llm-d.ai"));
  EXPECT_THAT(lines, Contains("models update leases.coordination.k8s.io/epp-models-vllm.llm-d.ai"));
  EXPECT_THAT(lines, Contains("routing watch endpointslices.discovery.k8s.io"));
  EXPECT_THAT(lines, Contains("routing list pods")) << "its own, for events";
  EXPECT_THAT(lines, Contains("routing create events.events.k8s.io"));
  EXPECT_THAT(lines, Contains("- watch nodes"));
}

TEST(KubeRbac, RoutesAreReadEverywhereAndOnlyTheirStatusIsWritten) {
  RbacOptions options;
  options.routes = true;
  options.account_namespace = "gateways";
  const std::vector<std::string> lines = lines_of(options);
  for (const char* line :
       {"- list gateways.gateway.networking.k8s.io", "- watch httproutes.gateway.networking.k8s.io",
        "- watch referencegrants.gateway.networking.k8s.io",
        "- watch endpointslices.discovery.k8s.io", "- watch inferencepools.serving.kserve.io",
        "- watch pods", "- get inferencepools.inference.networking.k8s.io",
        "- update inferencepools/status.inference.networking.k8s.io",
        "- update gatewayclasses/status.gateway.networking.k8s.io",
        "gateways update leases.coordination.k8s.io/kvasir-gateway-routes"}) {
    EXPECT_THAT(lines, Contains(line));
  }
  for (const std::string& line : lines) {
    EXPECT_THAT(line, Not(HasSubstr("secrets"))) << "nothing there is served with TLS";
    const bool writes = line.find(" update ") != std::string::npos;
    if (writes && line.find("leases") == std::string::npos) {
      EXPECT_THAT(line, HasSubstr("/status"));
    }
  }
}

TEST(KubeRbac, TheManifestBindsOneRoleInEachNamespaceToTheAccount) {
  RbacOptions options;
  options.pool_name = "vllm";
  EXPECT_THAT(rbac_manifest(options), StartsWith(R"(apiVersion: v1
kind: ServiceAccount
metadata:
  name: "kvasir-epp"
  namespace: "default"
---
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata:
  name: "kvasir-epp"
  namespace: "default"
rules:
- apiGroups: [""]
  resources: ["pods"]
  verbs: ["list", "watch"]
- apiGroups: ["inference.networking.k8s.io"]
  resources: ["inferencepools"]
)"));
  EXPECT_THAT(rbac_manifest(options), HasSubstr(R"(---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata:
  name: "kvasir-epp"
  namespace: "default"
roleRef:
  apiGroup: rbac.authorization.k8s.io
  kind: Role
  name: "kvasir-epp"
subjects:
- kind: ServiceAccount
  name: "kvasir-epp"
  namespace: "default"
)"));
  EXPECT_THAT(rbac_manifest(options), Not(HasSubstr("ClusterRole")));
}

TEST(KubeRbac, OnlyNodesTakeAClusterRoleWhoseNameSaysWhose) {
  RbacOptions options;
  options.pool_namespace = "models";
  options.node_labels = true;
  const std::string text = rbac_manifest(options);
  EXPECT_THAT(text,
              HasSubstr("kind: ClusterRole\nmetadata:\n  name: \"models-kvasir-epp\"\nrules:\n"
                        "- apiGroups: [\"\"]\n  resources: [\"nodes\"]\n"));
  EXPECT_THAT(text, HasSubstr("kind: ClusterRoleBinding\nmetadata:\n  name: \"models-kvasir-epp\"\n"
                              "roleRef:"));
}

// The lines of rules, without quotes and indentation.
std::vector<std::string> rules_in(std::istream& yaml) {
  std::vector<std::string> rules;
  for (std::string line; std::getline(yaml, line);) {
    const std::string_view keys[] = {"apiGroups: ", "resources: ", "verbs: ", "resourceNames: "};
    for (const std::string_view key : keys) {
      const size_t at = line.find(key);
      if (at == std::string::npos) continue;
      std::string rule = line.substr(at);
      std::erase(rule, '"');
      rules.push_back(rule);
    }
  }
  return rules;
}

TEST(KubeRbac, TheManifestsOfTheRepositoryAllowTheSame) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  if (root == nullptr) GTEST_SKIP() << "KVASIR_SOURCE_DIR is not set: run it with ctest";
  RbacOptions options;
  options.pool_name = "kvasir-pool";
  std::istringstream printed(rbac_manifest(options));
  const std::vector<std::string> wanted = rules_in(printed);
  for (const char* program : {"epp", "gateway"}) {
    std::ifstream file(std::string(root) + "/deploy/" + program + "/rbac.yaml");
    EXPECT_EQ(rules_in(file), wanted) << program;
  }
}

TEST(KubeRbac, NamesThatNoObjectCanHaveAreRefused) {
  for (const char* flag :
       {"--name", "--namespace", "--pool-name", "--pool-namespace", "--peers-service"}) {
    CLI::App app;
    int exit_code = -1;
    add_kube_command(app, exit_code);
    ::testing::internal::CaptureStdout();
    ::testing::internal::CaptureStderr();
    app.parse(std::string("kube rbac ") + flag + " 'De mo'", false);
    EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
    EXPECT_EQ(
        ::testing::internal::GetCapturedStderr().find(std::string("kvasir kube rbac: ") + flag),
        0u);
    EXPECT_EQ(exit_code, 2);
  }
}

}  // namespace
}  // namespace kvasir

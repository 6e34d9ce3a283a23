#include "apps/kube_flags.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <CLI/CLI.hpp>
#include <cstdlib>

#include "apps/epp_flags.h"

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr std::string_view kFileDiscovery = R"(
apiVersion: llm-d.ai/v1alpha1
kind: EndpointPickerConfig
plugins:
- type: file-discovery
  parameters: {path: endpoints.yaml}
- type: a-type-of-a-shared-object
dataLayer:
  discovery: {pluginRef: file-discovery}
)";

class KubeFlagsTest : public ::testing::Test {
 protected:
  KubeFlagsTest() { unsetenv("NAMESPACE"); }
  ~KubeFlagsTest() override { unsetenv("NAMESPACE"); }

  // What the picker makes of a command line: "" when Kubernetes is not asked, else what is.
  std::string chosen(const std::string& line, std::string_view config = "") {
    CLI::App app;
    EppFlags flags;
    add_epp_flags(app, flags);
    app.parse(line, false);
    Result<std::optional<KubeChoice>> choice = epp_kube_choice(flags, config);
    if (!choice) return "refused: " + choice.error().message;
    if (!choice->has_value()) return "";
    choice_ = **choice;
    return choice_.selection.to_string();
  }

  KubeChoice choice_;
};

TEST_F(KubeFlagsTest, WhatSaysThatPodsAreTheEndpoints) {
  const struct {
    const char* line;
    const char* chosen;
    std::string_view config = {};
  } cases[] = {
      {"--pool-name vllm --pool-namespace models", "InferencePool models/vllm"},
      {"--endpoint-selector app=vllm --endpoint-target-ports 8000 --pool-namespace models",
       "pods app in (vllm) in models"},
      {"--endpoints 10.0.0.1:8000 --pool-name vllm", ""},
      {"--endpoints-file f.yaml --pool-name vllm --pool-namespace n --pool-group g", ""},
      {"--dns n:1 --kubeconfig k", ""},
      {"--pool-name vllm", "", kFileDiscovery},
      {"", ""},
      {"", "", kFileDiscovery},
  };
  for (const auto& each : cases) {
    EXPECT_EQ(chosen(each.line, each.config), each.chosen) << each.line;
  }
}

TEST_F(KubeFlagsTest, WhatCannotBeMeantTogetherIsRefusedInWords) {
  const struct {
    const char* line;
    const char* words;
    std::string_view config = {};
  } cases[] = {
      {"--pool-name p --endpoint-selector a=b", "give one of them"},
      {"--endpoint-selector a=b --endpoint-target-ports 1 --dns n:1",
       "--endpoint-selector and --endpoints, --endpoints-file, --dns: only one of them"},
      {"--endpoint-selector a=b --endpoint-target-ports 1",
       "dataLayer.discovery of the configuration says where", kFileDiscovery},
      {"--endpoint-selector a=b", "--endpoint-target-ports must say which ports"},
      {"--pool-name p --endpoint-target-ports 8000", "an InferencePool has ports of its own"},
      {"--endpoint-selector ' ' --endpoint-target-ports 1", "--endpoint-selector: it is blank"},
      {"--pool-name 'De mo'", "--pool-name: 'De mo' is no name of Kubernetes"},
      {"--pool-name p --pool-namespace a/b", "--pool-namespace: 'a/b' is no name of Kubernetes"},
      {"--pool-name p --pool-namespace a.b", "--pool-namespace: 'a.b' is no name of Kubernetes"},
      {"--endpoint-selector a=b --endpoint-target-ports 1 --pool-namespace A",
       "--pool-namespace: 'A' is no name of Kubernetes"},
      {"--pool-name p --peers-service 'Bad Svc'",
       "--peers-service: 'Bad Svc' is no name of Kubernetes"},
      {"--endpoint-selector a=b --endpoint-target-ports 0", "--endpoint-target-ports: "},
      {"--endpoint-selector a=b --endpoint-target-ports 1,2,3,4,5,6,7,8,9",
       "--endpoint-target-ports: "},
      {"--endpoint-selector =b --endpoint-target-ports 1", "--endpoint-selector: "},
      {"--endpoint-target-ports 8000", "--endpoint-target-ports needs --pool-name"},
      {"--pool-name p --pool-group other.example",
       "no InferencePool is read from 'other.example', only from inference.networking.k8s.io"},
      {"--kube-manifests f", "--kube-manifests needs --pool-name"},
      {"--pool-name p --kube-manifests f --kubeconfig k", "not from both"},
      {"--pool-name p --kube-manifests f --ha-enable-leader-election", "nobody could hold a lease"},
      {"--ha-enable-leader-election", "--ha-enable-leader-election needs --pool-name"},
      {"--dns n:1 --metrics-endpoint-auth", "--metrics-endpoint-auth is for pods of a cluster"},
      {"--pool-name p --kube-manifests f --metrics-endpoint-auth", "nobody says who may read"},
      {"--endpoints 10.0.0.1:1 --ha-enable-leader-election", "another flag says where"},
      {"--peers-service epp", "dataLayer.discovery says where", kFileDiscovery},
  };
  for (const auto& each : cases) {
    const std::string said = chosen(each.line, each.config);
    EXPECT_THAT(said, HasSubstr("refused: ")) << each.line;
    EXPECT_THAT(said, HasSubstr(each.words)) << each.line;
  }
}

TEST_F(KubeFlagsTest, TheNamespaceIsTheFlagsElseTheVariablesElseOpen) {
  chosen("--pool-name p");
  EXPECT_EQ(choice_.selection.pool_namespace, "");
  setenv("NAMESPACE", "of the pod", 1);
  EXPECT_THAT(chosen("--pool-name p"),
              HasSubstr("the variable NAMESPACE: 'of the pod' is no name"));
  setenv("NAMESPACE", "of-the-pod", 1);
  chosen("--pool-name p");
  EXPECT_EQ(choice_.selection.pool_namespace, "of-the-pod");
  chosen("--pool-name p --pool-namespace models");
  EXPECT_EQ(choice_.selection.pool_namespace, "models");
}

TEST_F(KubeFlagsTest, TheRestIsHandedOn) {
  chosen(
      "--pool-name p --pool-group serving.kserve.io --kubeconfig k --peers-service epp "
      "--ha-enable-leader-election=true");
  EXPECT_EQ(choice_.selection.pool_group, "serving.kserve.io");
  EXPECT_EQ(choice_.kubeconfig, "k");
  EXPECT_EQ(choice_.peers_service, "epp");
  EXPECT_TRUE(choice_.leader_election);
  EXPECT_THAT(choice_.manifests, IsEmpty());
  chosen("--pool-name p --kube-manifests a --kube-manifests b");
  EXPECT_THAT(choice_.manifests, ElementsAre("a", "b"));
  chosen("--endpoint-selector a=b --endpoint-target-ports 8001,8000,8001");
  EXPECT_THAT(choice_.selection.target_ports, ElementsAre(8001, 8000));
}

TEST_F(KubeFlagsTest, BesideWorkersTheGatewayTakesNoPool) {
  KubeFlags flags;
  flags.pool_name = "p";
  const auto choice = kube_choice(flags, {.flags = 1, .names = "--worker-urls"});
  ASSERT_FALSE(choice);
  EXPECT_EQ(choice.error().message,
            "--pool-name and --worker-urls: only one of them can say where the endpoints are");
}

TEST(KubeConfigTexts, NodesAreReadForTopologyPluginsAlone) {
  EXPECT_FALSE(config_reads_nodes(""));
  EXPECT_FALSE(config_reads_nodes(kFileDiscovery));
  EXPECT_TRUE(
      config_reads_nodes("apiVersion: llm-d.ai/v1alpha1\nkind: EndpointPickerConfig\nplugins:\n"
                         "- type: topology-extractor\n"));
}

}  // namespace
}  // namespace kvasir

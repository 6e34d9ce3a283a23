// Made configurations against committed ones, tests/data/envoy_config/NAME/: routes.yaml, and
// beside it what it is to become. ENVOY_CONFIG_WRITE=1 writes that anew; read the difference.
#include "envoy_config/envoy_configuration.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "wire/kube/kube_manifest.h"

namespace kvasir {
namespace {

namespace fs = std::filesystem;

std::string file_text(const fs::path& path) {
  std::ifstream file(path);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

fs::path expected_folder() {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  return fs::path(root != nullptr ? root : ".") / "tests/data/envoy_config";
}

EnvoyConfiguration made_of(const std::string& text, EnvoyOptions options = {}) {
  ObjectStore store;
  const auto objects = read_manifest(text, "default");
  EXPECT_TRUE(objects.ok());
  for (const ManifestObject& object : *objects) {
    for (const Remark& problem : object.problems) {
      ADD_FAILURE() << problem.line << ": " << problem.text;
    }
    if (object.object != nullptr) store.put(object.object->type->as, object.object);
  }
  store.end_batch();
  if (options.folder.empty()) options.folder = "/etc/envoy/kvasir";
  const auto routes = effective_routes(store, [](const KubeGateway&) { return true; });
  return envoy_configuration(routes, store, options);
}

std::map<std::string, std::string> files_of(const EnvoyConfiguration& made) {
  std::map<std::string, std::string> files;
  for (const EnvoyConfiguration::File& file : made.endpoints) files[file.name] = file.text;
  for (const EnvoyConfiguration::File& file : made.others) files[file.name] = file.text;
  files["clusters.json"] = clusters_text(made.clusters);
  return files;
}

nlohmann::json cluster_of(const EnvoyConfiguration& made, const std::string& name) {
  const auto found = made.clusters.find(name);
  return found == made.clusters.end() ? nlohmann::json() : nlohmann::json::parse(found->second);
}

TEST(EnvoyConfiguration, IsWhatIsCommitted) {
  const bool writes = std::getenv("ENVOY_CONFIG_WRITE") != nullptr;
  for (const auto& entry : fs::directory_iterator(expected_folder())) {
    const auto files = files_of(made_of(file_text(entry.path() / "routes.yaml")));
    size_t committed = 0;
    for (const auto& one : fs::recursive_directory_iterator(entry)) {
      committed += one.path().extension() == ".json";
    }
    for (const auto& [name, text] : files) {
      if (writes) {
        fs::create_directories((entry.path() / name).parent_path());
        std::ofstream(entry.path() / name) << text;
      }
      EXPECT_EQ(text, file_text(entry.path() / name)) << entry.path() / name;
      EXPECT_TRUE(nlohmann::json::accept(text)) << name;
    }
    if (!writes) EXPECT_EQ(committed, files.size()) << entry.path();
  }
}

constexpr const char* kPool = R"(
{apiVersion: gateway.networking.k8s.io/v1, kind: Gateway, metadata: {name: gw, namespace: ns}, spec: {gatewayClassName: kvasir, listeners: [{name: http, port: 80, protocol: HTTP}]}}
---
{apiVersion: gateway.networking.k8s.io/v1, kind: HTTPRoute, metadata: {name: r, namespace: ns}, spec: {parentRefs: [{name: gw}], rules: [{backendRefs: [{group: inference.networking.k8s.io, kind: InferencePool, name: llm}]}]}}
---
{apiVersion: inference.networking.k8s.io/v1, kind: InferencePool, metadata: {name: llm, namespace: ns}, spec: {selector: {matchLabels: {app: vllm}}, targetPorts: [{number: 8000}, {number: 8001}], endpointPickerRef: {name: epp, port: {number: 9002}, failureMode: FailOpen}}}
---
)";

constexpr const char* kPod = R"(
{apiVersion: v1, kind: Pod, metadata: {name: a, namespace: ns, labels: {app: vllm}}, status: {podIP: 10.0.0.1, phase: Running, conditions: [{type: Ready, status: "True"}]}}
---
)";

std::string picker_with(const std::string& protocol) {
  return "{apiVersion: v1, kind: Service, metadata: {name: epp, namespace: ns}, spec: {ports: "
         "[{port: 9002" +
         (protocol.empty() ? "" : ", appProtocol: " + protocol) + "}]}}\n";
}

TEST(EnvoyConfiguration, APoolThatFailsOpenHasItsPodsToFallBackTo) {
  const auto made = made_of(std::string(kPool) + kPod + "---\n" + picker_with(""));
  EXPECT_TRUE(made.remarks.empty());
  const auto cluster = cluster_of(made, "inferencepool/ns/llm");
  EXPECT_EQ(cluster["type"], "EDS");
  EXPECT_NE(cluster.dump().find("override_host.v3.OverrideHost"), std::string::npos);
  const std::string endpoints = files_of(made).at("endpoints/inferencepool_ns_llm.json");
  EXPECT_NE(endpoints.find("\"port_value\": 8001"), std::string::npos);
}

TEST(EnvoyConfiguration, APickerIsAskedOverTlsUnlessItsPortSaysOtherwise) {
  const auto speaks_tls = [](const std::string& protocol, bool plain_pickers) {
    EnvoyOptions options;
    options.plain_pickers = plain_pickers;
    const auto made = made_of(std::string(kPool) + kPod + "---\n" + picker_with(protocol), options);
    return cluster_of(made, "picker/ns/llm").contains("transport_socket");
  };
  EXPECT_TRUE(speaks_tls("", false));
  EXPECT_FALSE(speaks_tls("", true));
  EXPECT_FALSE(speaks_tls("kubernetes.io/h2c", false));
  EXPECT_TRUE(speaks_tls("https", true));
}

TEST(EnvoyConfiguration, APickerOrPodsThatAreNotThereAreTold) {
  const auto made = made_of(kPool);
  ASSERT_EQ(made.remarks.size(), 2u);
  EXPECT_NE(made.remarks[0].find("its picker, Service ns/epp port 9002, is not there"),
            std::string::npos);
  EXPECT_NE(made.remarks[1].find("none of its pods is known to be ready"), std::string::npos);
}

TEST(EnvoyConfiguration, KeysAreInNoFileButTheSecrets) {
  const auto made = made_of(file_text(expected_folder() / "everything" / "routes.yaml"));
  for (const auto& [name, text] : files_of(made)) {
    const bool secret = name.rfind("secrets/", 0) == 0;
    EXPECT_EQ(text.find("PRIVATE KEY") != std::string::npos, secret) << name;
  }
}

}  // namespace
}  // namespace kvasir

#include "apps/kube_kv_folders.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <sstream>

#include "apps/kube_check.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr, ::testing::Not;

// A pod with one engine and the folder as the tutorial has it, but for the volume.
std::string kv_pod(const std::string& name, const std::string& volume,
                   const std::string& path = "/kv_cache", const std::string& more = "") {
  return "---\napiVersion: v1\nkind: Pod\nmetadata: {name: " + name +
         ", namespace: llm-d-vllm}\nspec:\n  containers:\n"
         "  - name: vllm\n    args:\n    - >-\n"
         "      "
         "--kv-transfer-config={\"kv_connector\":\"ExampleConnector\",\"kv_role\":\"kv_both\","
         "\"kv_connector_extra_config\":{\"shared_storage_path\":\"" +
         path + "\"}}\n    volumeMounts:\n    - {name: kv, mountPath: /kv_cache}\n" + more +
         "  volumes:\n  - {name: kv, " + volume + "}\n";
}

std::string check_report(const std::string& text) {
  return check_manifests({{"f.yaml", text}}, "default").text;
}

// As the tutorial publishes it: the ids look right, and not one block is transferred.
TEST(KubeKvFolders, TwoPodsWithAnEmptyDirEachShareNothing) {
  const std::string report = check_report(kv_pod("vllm-prefill-fs", "emptyDir: {}") +
                                          kv_pod("vllm-decode-fs", "emptyDir: {medium: Memory}"));
  EXPECT_THAT(report, HasSubstr("f.yaml:14: note: the emptyDir at /kv_cache is this pod's own, and "
                                "Pod llm-d-vllm/vllm-decode-fs has another one there"));
  EXPECT_THAT(report, HasSubstr("and Pod llm-d-vllm/vllm-prefill-fs has another one there"));
  EXPECT_THAT(report, HasSubstr("2 objects: 2 ok")) << "the API server takes them";
}

TEST(KubeKvFolders, WhatIsSharedIsFine) {
  const std::string host = "hostPath: {path: /var/lib/kv}";
  const std::string fine[] = {
      kv_pod("a", host) + kv_pod("b", host),
      kv_pod("a", "persistentVolumeClaim: {claimName: kv}") +
          kv_pod("b", "persistentVolumeClaim: {claimName: kv}"),
      kv_pod("a", "emptyDir: {}"),
      kv_pod("a", "emptyDir: {}") + kv_pod("b", "emptyDir: {}", "/kv_cache/other"),
      // Both engines in one pod.
      kv_pod("a", "emptyDir: {}", "/kv_cache",
             "  - name: decode\n    command: [sh, -c, \"vllm serve m --kv-transfer-config "
             "'{\\\"kv_connector\\\":\\\"ExampleConnector\\\",\\\"kv_connector_extra_config\\\":"
             "{\\\"shared_storage_path\\\":\\\"/kv_cache/\\\"}}'\"]\n"
             "    volumeMounts:\n    - {name: kv, mountPath: /kv_cache}\n") +
          kv_pod("b", "emptyDir: {}"),
  };
  for (const std::string& text : fine) {
    EXPECT_THAT(check_report(text), Not(HasSubstr("ExampleConnector"))) << text;
  }
}

TEST(KubeKvFolders, AFolderWithoutAVolumeIsThePodsToo) {
  const std::string report = check_report(kv_pod("a", "emptyDir: {}", "/tmp/kv") +
                                          kv_pod("b", "emptyDir: {}", "/tmp/kv/"));
  EXPECT_THAT(report, HasSubstr("there is no volume at /tmp/kv, so it is this pod's own, and Pod "
                                "llm-d-vllm/b has another one there"));
}

TEST(KubeKvFolders, OurManifestsShareOneFolder) {
  const char* const source = std::getenv("KVASIR_SOURCE_DIR");
  if (source == nullptr) GTEST_SKIP() << "KVASIR_SOURCE_DIR is not set: run it with ctest";
  const std::string folder = std::string(source) + "/examples/kubernetes/disaggregated-serving/";
  for (const char* name :
       {"vllm/fs-kv-same-node.yaml", "vllm/fs-kv-one-pod.yaml", "vllm/p2p-nccl-same-node.yaml",
        "vllm/p2p-proxy-ubi.yaml", "gateway-routing/httproute-ab.yaml"}) {
    std::ifstream file(folder + name);
    std::stringstream text;
    text << file.rdbuf();
    ASSERT_FALSE(text.str().empty()) << name;
    const KubeCheckReport report = check_manifests({{name, text.str()}}, "default");
    EXPECT_EQ(report.problems, 0u) << report.text;
    EXPECT_THAT(report.text, Not(HasSubstr("note:"))) << report.text;
  }
}

}  // namespace
}  // namespace kvasir

#include "apps/kube_get.h"

#include <gtest/gtest.h>

#include "wire/kube/kube_reader.h"

namespace kvasir {
namespace {

std::string line_of(const std::string& json) {
  KubeReader reader;
  const auto object = reader.read_object(json);
  return object ? object_line(**object) : object.error().message;
}

TEST(KubeGet, ALineHasTheFieldsThatAreUsed) {
  EXPECT_EQ(line_of(R"({"apiVersion":"v1","kind":"Pod","metadata":{"name":"a","namespace":"n",
    "labels":{"app":"vllm"}},"spec":{"nodeName":"n1"},"status":{"phase":"Running","podIP":"10.1.2.3",
    "conditions":[{"type":"Ready","status":"True"}]}})"),
            "n/a  ready=true phase=Running ip=10.1.2.3 node=n1 labels=app:vllm");
  EXPECT_EQ(line_of(R"({"apiVersion":"inference.networking.k8s.io/v1","kind":"InferencePool",
    "metadata":{"name":"p","namespace":"n"},"spec":{"selector":{"matchLabels":{"app":"vllm"}},
    "targetPorts":[{"number":8000},{"number":8001}],
    "endpointPickerRef":{"name":"epp","port":{"number":9002}}}})"),
            "n/p  selector=app:vllm ports=8000,8001 picker=epp");
}

TEST(KubeGet, SecretsShowNoValues) {
  const std::string line = line_of(
      R"({"apiVersion":"v1","kind":"Secret","metadata":{"name":"s","namespace":"n"},"type":"Opaque",
      "data":{"password":"aHVzaA=="}})");
  EXPECT_EQ(line, "n/s  type=Opaque data=password");
}

TEST(KubeGet, KindsHaveTheNamesThatKubectlTakes) {
  for (const char* word : {"pods", "pod", "Pod"}) {
    ASSERT_NE(find_type_by_word(word), nullptr) << word;
    EXPECT_EQ(find_type_by_word(word)->kind, "Pod");
  }
  EXPECT_EQ(find_type_by_word("inferencepools")->group, "inference.networking.k8s.io");
  EXPECT_EQ(find_type_by_word("inferencepools.serving.kserve.io")->group, "serving.kserve.io");
  EXPECT_EQ(find_type_by_word("deployments"), nullptr);
  EXPECT_EQ(find_type_by_word("pods.apps"), nullptr);
}

}  // namespace
}  // namespace kvasir

#include "wire/kube/kube_manifest.h"

#include <gtest/gtest.h>

namespace kvasir {
namespace {

std::vector<ManifestObject> manifest(std::string_view text) {
  auto objects = read_manifest(text);
  EXPECT_TRUE(objects.ok()) << objects.error().message;
  return objects.ok() ? std::move(*objects) : std::vector<ManifestObject>();
}

std::string manifest_error(std::string_view text, const ManifestLimits& limits = {}) {
  const auto objects = read_manifest(text, "default", limits);
  return objects.ok() ? "no error" : objects.error().message;
}

TEST(KubeManifest, EveryDocumentIsAnObjectWithItsLine) {
  const auto objects = manifest(R"(# a comment
apiVersion: v1
kind: ConfigMap
metadata:
  name: one
data:
  a: "5"
---
---
apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: two, namespace: other}
spec:
  selector: {matchLabels: {app: vllm}}
  targetPorts: [{number: 8000}]
---
apiVersion: apps/v1
kind: Deployment
metadata:
  name: three
)");
  ASSERT_EQ(objects.size(), 3u);
  EXPECT_EQ(objects[0].line, 2);
  EXPECT_EQ(objects[0].kind, "ConfigMap");
  EXPECT_EQ(objects[0].key, (ObjectKey{"default", "one"}));
  ASSERT_NE(objects[0].object, nullptr);
  EXPECT_EQ(static_cast<const ConfigMap&>(*objects[0].object).data.at("a"), "5");
  EXPECT_EQ(objects[0].object->meta.name_space, "default");
  EXPECT_EQ(objects[1].line, 10);
  EXPECT_EQ(objects[1].key, (ObjectKey{"other", "two"}));
  ASSERT_NE(objects[1].object, nullptr);
  EXPECT_EQ(objects[2].line, 17);
  EXPECT_FALSE(objects[2].known);
  EXPECT_EQ(objects[2].key, (ObjectKey{"", "three"}));
  EXPECT_EQ(objects[2].object, nullptr);
  EXPECT_TRUE(objects[2].problems.empty());
}

TEST(KubeManifest, ProblemsHaveTheLineOfTheField) {
  const auto objects = manifest(R"(apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata:
  name: pool
  labels:
    app.kubernetes.io/name: ok
    app: 5
spec:
  selector:
    matchLabels:
      app: vllm
  targetPorts:
  - number: 8000
  - number: 70000
  endpointPickerRef:
    kind: Service
)");
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].object, nullptr);
  EXPECT_EQ(to_string(objects[0].problems),
            "line 7: metadata.labels.app: must be a text, not a number (in quotes it is a text)\n"
            "line 14: spec.targetPorts[1].number: must be a number from 1 to 65535\n"
            "line 16: spec.endpointPickerRef.name: missing\n"
            "line 16: spec.endpointPickerRef.port: missing: a Service needs one");
}

TEST(KubeManifest, KeysWithDotsKeepTheirLine) {
  const auto objects = manifest(
      "apiVersion: v1\nkind: Node\nmetadata:\n  name: a\n  annotations:\n    a: x\n    a.b: z\n"
      "    a.b/c: 1\n");
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].problems.size(), 1u);
  EXPECT_EQ(objects[0].problems[0].line, 8);
}

TEST(KubeManifest, WhatIsWrittenAsNothingHasTheLineAboveIt) {
  const auto objects = manifest("apiVersion: v1\nkind: Service\nmetadata:\n  name:\nspec:\n");
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(to_string(objects[0].problems),
            "line 4: metadata.name: missing\nline 1: spec: missing");
}

TEST(KubeManifest, AClusterWideKindHasNoNamespace) {
  const auto objects = manifest("apiVersion: v1\nkind: Node\nmetadata:\n  name: a\n");
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].key, (ObjectKey{"", "a"}));
}

TEST(KubeManifest, ListsAreTheirItems) {
  const auto objects = manifest(R"(apiVersion: v1
kind: List
items:
- apiVersion: v1
  kind: Pod
  metadata: {name: a}
- apiVersion: v1
  kind: List
  items:
  - {apiVersion: v1, kind: Pod, metadata: {name: b}}
- metadata: {name: c}
---
apiVersion: v1
kind: PodList
items:
- metadata: {name: d}
---
kind: List
items: []
)");
  ASSERT_EQ(objects.size(), 4u);
  EXPECT_EQ(objects[0].line, 4);
  EXPECT_NE(objects[0].object, nullptr);
  EXPECT_EQ(objects[1].key.name, "b");
  EXPECT_NE(objects[1].object, nullptr);
  EXPECT_EQ(to_string(objects[2].problems), "line 11: apiVersion: missing\nline 11: kind: missing");
  EXPECT_EQ(objects[3].kind, "Pod");
  EXPECT_NE(objects[3].object, nullptr);
}

TEST(KubeManifest, AnItemThatIsNothingHasTheLineOfItsList) {
  const auto objects = manifest("kind: Pod\n---\nkind: List\nitems:\n- \n- {}\n");
  ASSERT_EQ(objects.size(), 3u);
  EXPECT_EQ(objects[1].line, 3);
  EXPECT_EQ(to_string(objects[1].problems),
            "line 3: must be a map with apiVersion and kind, not nothing");
  EXPECT_EQ(objects[2].line, 6);
}

TEST(KubeManifest, JsonIsReadToo) {
  const auto objects = manifest(
      "{\"apiVersion\":\"v1\",\t\"kind\":\"List\",\"items\":[\n"
      "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\"name\":\"a\",\"annotations\":{\"x\":"
      "\"\\ud83d\\ude00\"}}},\n"
      "{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{\n\"name\":5}}]}");
  ASSERT_EQ(objects.size(), 2u);
  ASSERT_NE(objects[0].object, nullptr);
  EXPECT_EQ(*objects[0].object->meta.annotation("x"), "\xf0\x9f\x98\x80");
  EXPECT_EQ(objects[1].line, 3);
  EXPECT_EQ(to_string(objects[1].problems),
            "line 4: metadata.name: must be a text, not a number (in quotes it is a text)");
}

TEST(KubeManifest, FlowMapsThatAreNoJsonAreYaml) {
  const auto objects = manifest("{apiVersion: v1, kind: Pod, metadata: {name: a}}\n");
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_NE(objects[0].object, nullptr);
}

TEST(KubeManifest, LineEndsOfOtherSystemsCount) {
  const auto objects = manifest("apiVersion: v1\r\nkind: Pod\r\nmetadata:\r\n  name: 5\r\n");
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(objects[0].problems.at(0).line, 4);
}

TEST(KubeManifest, DocumentsThatAreNoObjectsAreProblems) {
  const auto objects = manifest("just a text\n---\n- a\n- b\n---\na: 1\n---\nkind: 5\n");
  ASSERT_EQ(objects.size(), 4u);
  EXPECT_EQ(to_string(objects[0].problems),
            "line 1: must be a map with apiVersion and kind, not a text");
  EXPECT_EQ(to_string(objects[1].problems),
            "line 3: must be a map with apiVersion and kind, not a list");
  EXPECT_EQ(to_string(objects[2].problems), "line 6: apiVersion: missing\nline 6: kind: missing");
  EXPECT_EQ(to_string(objects[3].problems), "line 8: apiVersion: missing\nline 8: kind: missing");
  for (const ManifestObject& object : objects) EXPECT_TRUE(object.known);
}

TEST(KubeManifest, ALabelWithoutQuotesThatKubectlTakesForABooleanIsAProblem) {
  const auto objects =
      manifest("apiVersion: v1\nkind: Pod\nmetadata:\n  name: a\n  labels:\n    canary: yes\n");
  ASSERT_EQ(objects.size(), 1u);
  EXPECT_EQ(to_string(objects[0].problems),
            "line 6: metadata.labels.canary: must be a text, not a boolean (in quotes it is a "
            "text)");
}

TEST(KubeManifest, NothingIsNoObject) {
  for (const char* text : {"", "\n", "---\n", "# only words\n", "---\n---\n"}) {
    EXPECT_TRUE(manifest(text).empty()) << text;
  }
}

TEST(KubeManifest, WhatIsNoYamlIsAnErrorWithItsLine) {
  const struct {
    std::string text;
    const char* error;
  } cases[] = {
      {"a: [\n", "line 2: not YAML: end of sequence flow not found"},
      {"a: 1\n---\nb: 1\nb: 2\n", "line 4: the key 'b' stands twice in one map"},
      {"a: 1\n---\nb: \xff\n", "line 3: not UTF-8"},
      {std::string("a: 1\n\0", 6), "line 2: a zero byte; this is no text in UTF-8"},
      {"a: 1\nb: 99999999999999999999\n",
       "line 2: the number 99999999999999999999 does not fit 64 bits"},
      {"{\"a\": 1,\n\"a\": 2}", "line 2: the key 'a' stands twice in one map"},
      {"metadata: {{ .Values.x }}\n", "line 1: a key must be a text, not a list or a map"},
      {std::string(65, '[') + std::string(65, ']'), "line 1: lists and maps nest deeper than 64"},
  };
  for (const auto& test : cases) EXPECT_EQ(manifest_error(test.text), test.error) << test.text;
  for (const char* open : {"[", "{", "{\"a\":[", "- ", "? ", "&a ["}) {
    std::string deep;
    for (int i = 0; i < 1000; ++i) deep += open;
    EXPECT_NE(manifest_error(deep), "no error") << open;
  }
}

TEST(KubeManifest, WhatIsTooMuchIsRefused) {
  const std::string pod = "apiVersion: v1\nkind: Pod\nmetadata: {name: a}\n---\n";
  EXPECT_EQ(manifest_error(pod + pod + pod, {1024, 1000, 3}), "no error");
  EXPECT_EQ(manifest_error(pod + pod + pod, {1024, 1000, 2}), "more than 2 objects");
  EXPECT_EQ(manifest_error("kind: List\nitems: [{}, {}, {}]\n", {1024, 1000, 2}),
            "more than 2 objects");
  EXPECT_EQ(manifest_error(pod, {1024, 4, 10}), "line 2: more than 4 values, aliases included");
  EXPECT_EQ(manifest_error(std::string(1025, ' '), {1024, 1000, 10}), "longer than 1 KiB");
}

}  // namespace
}  // namespace kvasir

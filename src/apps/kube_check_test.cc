#include "apps/kube_check.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kvasir {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

KubeCheckReport checked(const std::string& text) {
  return check_manifests({{"f.yaml", text}}, "default");
}

// Each object of the tutorials in the shape that it has there, and what is to be said of it.
struct TutorialObject {
  const char* text;
  const char* line;                  // the object's own
  std::vector<std::string> remarks;  // in this order, under it
};

std::vector<std::string> remarks_of(const std::string& report) {
  std::vector<std::string> lines;
  size_t begin = 0;
  for (size_t end = report.find('\n'); end != std::string::npos; end = report.find('\n', begin)) {
    const std::string line = report.substr(begin, end - begin);
    if (line.starts_with("  ")) lines.push_back(line.substr(2));
    begin = end + 1;
  }
  return lines;
}

const TutorialObject kTutorialObjects[] = {
    {R"(apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
metadata: {name: epp-scheduler, namespace: llm-d-system}
spec:
  targetRefs:
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, name: llm-inference-route}
  extProc:
    processingMode:
      request:
        headers: SEND
        body: BUFFERED
      response:
        headers: SEND
        body: NONE
    backendRefs:
    - {name: endpoint-picker, namespace: llm-d-system, port: 9000}
    processingTimeout: 100ms
    failOpen: true
)",
     "f.yaml:1 EnvoyExtensionPolicy llm-d-system/epp-scheduler: problem",
     {"f.yaml:8: problem: spec.extProc: Envoy Gateway has a list here",
      "f.yaml:10: problem: spec.extProc.processingMode.request.headers: unknown",
      "f.yaml:11: problem: spec.extProc.processingMode.request.body: Envoy Gateway writes",
      "f.yaml:13: problem: spec.extProc.processingMode.response.headers: unknown",
      "f.yaml:14: problem: spec.extProc.processingMode.response.body: Envoy Gateway writes",
      "f.yaml:17: problem: spec.extProc.processingTimeout: Envoy Gateway calls it messageTimeout"}},
    {R"(apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: llm-retry-policy, namespace: llm-d-system}
spec:
  targetRefs:
  - {group: gateway.networking.k8s.io, kind: HTTPRoute, name: llm-inference-route}
  timeout:
    request: 60s
    backend: 55s
  retry:
    numRetries: 3
    perTryTimeout: 20s
    retryOn: ["5xx", "reset"]
    retriableStatusCodes: [503]
    backoff: {baseInterval: 100ms}
    retryBudget: {retryRatio: 0.1}
)",
     "f.yaml:1 BackendTrafficPolicy llm-d-system/llm-retry-policy: problem",
     {"f.yaml:8: problem: spec.timeout.request: unknown to Envoy Gateway: write "
      "timeout.http.requestTimeout",
      "f.yaml:9: problem: spec.timeout.backend:",
      "f.yaml:12: problem: spec.retry.perTryTimeout: unknown to Envoy Gateway: write "
      "retry.perRetry.timeout",
      "f.yaml:13: problem: spec.retry.retryOn:",
      "f.yaml:14: problem: spec.retry.retriableStatusCodes:",
      "f.yaml:15: problem: spec.retry.backoff:", "f.yaml:16: problem: spec.retry.retryBudget:"}},
    {R"(apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: llm-circuit-breaker, namespace: llm-d-system}
spec:
  targetRefs:
  - group: serving.kserve.io
    kind: InferencePool
    name: llama-70b-pool
  circuitBreaker:
    maxConnections: 1024
    maxRequests: 1024
    maxRetries: 3
    outlierDetection: {interval: 10s}
)",
     "f.yaml:1 BackendTrafficPolicy llm-d-system/llm-circuit-breaker: problem",
     {"f.yaml:6: problem: spec.targetRefs.group:",
      "f.yaml:11: problem: spec.circuitBreaker.maxRequests:",
      "f.yaml:12: problem: spec.circuitBreaker.maxRetries:",
      "f.yaml:13: problem: spec.circuitBreaker.outlierDetection: unknown to Envoy Gateway: write "
      "healthCheck.passive"}},
    {R"(apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyFilter
metadata: {name: llm-headers, namespace: llm-d-system}
spec:
  requestHeaderModifier:
    add:
    - {name: x-request-id, value: "%REQ_ID%"}
    - {name: x-forwarded-proto, value: "%PROTOCOL%"}
  responseHeaderModifier:
    add:
    - {name: x-selected-pod, value: "%UPSTREAM_CLUSTER%"}
)",
     "f.yaml:1 EnvoyFilter llm-d-system/llm-headers: problem",
     {"f.yaml:1: problem: Envoy Gateway has no such kind",
      "f.yaml:8: note: x-forwarded-proto: %PROTOCOL% is HTTP/1.1 or HTTP/2",
      "f.yaml:11: note: x-selected-pod: %UPSTREAM_CLUSTER% is a cluster's name"}},
    {R"(apiVersion: serving.kserve.io/v1alpha1
kind: InferencePool
metadata: {name: llama-70b-pool, namespace: llm-serving}
spec:
  modelName: meta-llama/Llama-2-70b-hf
  selector:
    matchLabels: {model: llama-70b, role: inference}
    matchExpressions:
    - {key: llm-d.ai/role, operator: In, values: [decode, prefill]}
  routingPolicy: {type: Dynamic}
  disaggregation: {enabled: true}
  healthCheck: {enabled: true}
  autoscaling: {minReplicas: 2}
)",
     "f.yaml:1 InferencePool llm-serving/llama-70b-pool: ok",
     {"f.yaml:1: note: no release of KServe has this kind",
      "f.yaml:1: note: spec.targetPorts: no port, so endpoints are at port 8000",
      "f.yaml:5: note: spec.modelName: not used", "f.yaml:10: note: spec.routingPolicy: not used",
      "f.yaml:11: note: spec.disaggregation: not used",
      "f.yaml:12: note: spec.healthCheck: not used",
      "f.yaml:13: note: spec.autoscaling: not used"}},
    {R"(apiVersion: serving.kserve.io/v1alpha1
kind: InferenceModel
metadata: {name: llama-70b-model, namespace: llm-serving}
)",
     "f.yaml:1 InferenceModel llm-serving/llama-70b-model: not read by kvasir",
     {"f.yaml:1: note: no release of KServe has this kind: an InferenceObjective"}},
    {R"(apiVersion: serving.kserve.io/v1alpha1
kind: LocalModel
metadata: {name: llama-70b-distributed}
)",
     "f.yaml:1 LocalModel llama-70b-distributed: not read by kvasir",
     {"f.yaml:1: note: no release of KServe has this kind: the nearest is LocalModelCache"}},
    {R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: vllm-decode-worker}
spec:
  template:
    spec: {containers: []}
)",
     "f.yaml:1 Deployment vllm-decode-worker: problem",
     {"f.yaml:1: problem: spec.selector: missing: write selector.matchLabels",
      "f.yaml:1: problem: spec.template.metadata.labels: missing"}},
    {R"(apiVersion: apps/v1
kind: Deployment
metadata: {name: kv-cache-manager, namespace: llm-d-system}
spec:
  selector: {matchLabels: {app: kv-cache-manager}}
  template: {metadata: {labels: {app: kv-cache-manager}}}
)",
     "f.yaml:1 Deployment llm-d-system/kv-cache-manager: not read by kvasir",
     {}},
    {R"(apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: llm-inference-route, namespace: llm-serving}
spec:
  rules:
  - backendRefs:
    - group: serving.kserve.io
      kind: InferencePool
      name: llama-70b-pool
)",
     "f.yaml:1 HTTPRoute llm-serving/llm-inference-route: ok",
     {"f.yaml:7: note: spec.rules.backendRefs.group: the API server takes it"}},
};

TEST(KubeCheck, TheTutorialsObjectsAreJudgedAsTheirApiServersJudgeThem) {
  for (const TutorialObject& test : kTutorialObjects) {
    const KubeCheckReport report = checked(test.text);
    EXPECT_THAT(report.text, HasSubstr(std::string(test.line) + "\n"));
    const bool is_bad = std::string(test.line).ends_with(": problem");
    EXPECT_EQ(report.problems, is_bad ? 1u : 0u) << report.text;
    const std::vector<std::string> remarks = remarks_of(report.text);
    ASSERT_EQ(remarks.size(), test.remarks.size()) << report.text;
    for (size_t i = 0; i < remarks.size(); ++i) EXPECT_THAT(remarks[i], HasSubstr(test.remarks[i]));
  }
}

TEST(KubeCheck, OurKindsUnderAnotherGroupVersionOrNameAreProblems) {
  const struct {
    const char* version;
    const char* kind;
    const char* meant;  // "": not read, and no problem
  } cases[] = {
      {"v1", "InferencePool", " in that version: did you mean inference.networking.k8s.io/v1?"},
      {"inference.networking.k8s.io/v1alpha2", "InferencePool",
       " in that version: did you mean inference.networking.k8s.io/v1?"},
      {"inference.networking.k8s.io/v2", "InferencePool",
       " in that version: did you mean inference.networking.k8s.io/v1?"},
      {"inference.networking.k8s/v1", "InferencePool",
       " in that version: did you mean inference.networking.k8s.io/v1?"},
      {"llm-d.ai/v1", "InferenceObjective", " in that version: did you mean llm-d.ai/v1alpha2?"},
      {"inference.networking.k8s.io/v1", "InferencePools", ": did you mean kind: InferencePool?"},
      {"inference.networking.k8s.io/v1", "inferencepool", ": did you mean kind: InferencePool?"},
      {"inference.networking.k8s.io/v1", "InferncePool", ": did you mean kind: InferencePool?"},
      {"llm-d.ai/v1", "InferenceModelRewrites",
       " in that version: did you mean llm-d.ai/v1alpha2, kind: InferenceModelRewrite?"},
      {"v1", "EndpointSlice", " in that version: did you mean discovery.k8s.io/v1?"},
      {"v2", "Service", " in that version: did you mean v1?"},
      {"v1", "Pods", ": did you mean kind: Pod?"},
      {"serving.knative.dev/v1", "Service", ""},
      {"example.com/v1", "Lease", ""},
      {"example.com/v1", "InferencePools", ""},
      {"v1", "Endpoints", ""},
      {"v1", "PodTemplate", ""},
      {"v1", "ServiceAccount", ""},
      {"coordination.k8s.io/v1alpha2", "LeaseCandidate", ""},
      {"serving.kserve.io/v1beta1", "InferenceService", ""},
      {"serving.kserve.io/v1alpha1", "InferenceGraph", ""},
      {"serving.kserve.io/v1alpha1", "LLMInferenceService", ""},
      {"inference.networking.x-k8s.io/v1alpha1", "InferencePoolImport", ""},
      {"inference.networking.x-k8s.io/v1alpha2", "InferenceModel", ""},
  };
  for (const auto& test : cases) {
    const KubeCheckReport report = checked(std::string("metadata: {name: a}\nkind: ") + test.kind +
                                           "\napiVersion: " + test.version + "\n");
    const std::string meant = test.meant;
    EXPECT_EQ(report.problems, meant.empty() ? 0u : 1u) << report.text;
    EXPECT_THAT(report.text, HasSubstr(meant.empty() ? ": not read by kvasir\n"
                                                     : "problem: no such kind" + meant + "\n"));
  }
}

TEST(KubeCheck, FieldsThatTheSpecDoesNotHaveAreNoted) {
  const struct {
    const char* object;
    std::vector<std::string> notes;
  } cases[] = {
      {R"(apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: a}
spec:
  selector: {matchLabels: {app: vllm, role: any}, matchExpressions: []}
  targetPorts:
  - {number: 8000, protocol: TCP}
  appProtocols: http
  colour: null
)",
       {"f.yaml:5: note: spec.colour: unknown, left aside",
        "f.yaml:5: note: spec.selector.matchExpressions: unknown, left aside",
        "f.yaml:7: note: spec.targetPorts.protocol: unknown, left aside",
        "f.yaml:8: note: spec.appProtocols: unknown, left aside; did you mean 'appProtocol'?"}},
      {R"(apiVersion: llm-d.ai/v1alpha2
kind: InferenceObjective
metadata: {name: a}
spec:
  poolRef: {name: p, namespace: other}
  prioritty: 10
)",
       {"f.yaml:5: note: spec.poolRef: no InferencePool default/p in these files",
        "f.yaml:5: note: spec.poolRef.namespace: unknown, left aside",
        "f.yaml:6: note: spec.prioritty: unknown, left aside; did you mean 'priority'?"}},
      {R"(apiVersion: llm-d.ai/v1alpha2
kind: InferenceModelRewrite
metadata: {name: a}
spec:
  poolRef: {name: p}
  rules:
  - matches:
    - model: {value: x}
    targets:
    - {modelRewrite: z, weigth: 5}
)",
       {"f.yaml:5: note: spec.poolRef: no InferencePool default/p in these files",
        "f.yaml:10: note: spec.rules.targets.weigth: unknown, left aside; did you mean 'weight'?"}},
      {R"(apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferencePool
metadata: {name: a}
spec: {selector: {app: x}, targetPortNumber: 1, extensionRef: {name: e, portNumbr: 2}}
)",
       {"f.yaml:1: note: the last release with this version is v1.4.0: write "
        "inference.networking.k8s.io/v1 with selector.matchLabels, targetPorts and "
        "endpointPickerRef",
        "f.yaml:4: note: spec.extensionRef: no Service default/e in these files",
        "f.yaml:4: note: spec.extensionRef.portNumbr: unknown, left aside; did you mean "
        "'portNumber'?"}},
  };
  for (const auto& test : cases) {
    const KubeCheckReport report = checked(test.object);
    EXPECT_EQ(report.problems, 0u) << report.text;
    EXPECT_THAT(remarks_of(report.text), ::testing::UnorderedElementsAreArray(test.notes));
  }
}

TEST(KubeCheck, WhatUpstreamWritesInsteadIsInOrder) {
  const KubeCheckReport report = checked(R"(apiVersion: gateway.envoyproxy.io/v1alpha1
kind: EnvoyExtensionPolicy
metadata: {name: a}
spec:
  extProc:
  - backendRefs: [{name: epp, port: 9002}]
    messageTimeout: 100ms
    failOpen: true
    processingMode: {request: {body: Buffered}, response: {}}
---
apiVersion: gateway.envoyproxy.io/v1alpha1
kind: BackendTrafficPolicy
metadata: {name: b}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: HTTPRoute, name: r}]
  timeout: {http: {requestTimeout: 60s}, tcp: {connectTimeout: 5s}}
  retry:
    numRetries: 3
    perRetry: {timeout: 20s, backOff: {baseInterval: 100ms, maxInterval: 10s}}
    retryOn: {triggers: [reset], httpStatusCodes: [503]}
  circuitBreaker: {maxParallelRequests: 1024, maxParallelRetries: 3}
  healthCheck: {passive: {interval: 10s}}
)");
  EXPECT_EQ(report.text,
            "f.yaml:1 EnvoyExtensionPolicy a: not read by kvasir\n"
            "f.yaml:11 BackendTrafficPolicy b: not read by kvasir\n"
            "2 objects: 0 ok, 0 with problems, 2 not read by kvasir\n");
}

constexpr const char* kPoolAndPicker = R"(apiVersion: inference.networking.k8s.io/v1
kind: InferencePool
metadata: {name: pool}
spec:
  selector: {matchLabels: {app: vllm}}
  targetPorts: [{number: 8000}]
  endpointPickerRef: {name: epp, port: {number: 9002}}
---
apiVersion: v1
kind: Service
metadata: {name: epp}
spec: {ports: [{port: 9002}]}
---
apiVersion: llm-d.ai/v1alpha2
kind: InferenceObjective
metadata: {name: high}
spec: {priority: 10, poolRef: {name: pool}}
)";

TEST(KubeCheck, ObjectsThatFitTogetherAreOk) {
  const KubeCheckReport report = checked(kPoolAndPicker);
  EXPECT_EQ(report.problems, 0u);
  EXPECT_EQ(report.text,
            "f.yaml:1 InferencePool default/pool: ok\n"
            "f.yaml:9 Service default/epp: ok\n"
            "f.yaml:14 InferenceObjective default/high: ok\n"
            "3 objects: 3 ok, 0 with problems, 0 not read by kvasir\n");
}

TEST(KubeCheck, OneOfAPoolsPortsIsEnoughAndSoIsSayingNothingOfThem) {
  for (const char* containers :
       {"[{ports: [{containerPort: 8000}, {containerPort: 5557}]}]",
        "[{ports: [{containerPort: 8200}]}], initContainers: [{ports: [{containerPort: 8000}]}]",
        "[{name: x}]", "[{ports: null}]", "null", "7", "[7]"}) {
    const KubeCheckReport report =
        checked(std::string(kPoolAndPicker) +
                "---\n{apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: vllm}}, "
                "spec: {containers: " +
                containers + "}}\n");
    EXPECT_THAT(report.text, Not(HasSubstr("note"))) << containers;
  }
}

TEST(KubeCheck, ThePickersOwnPodsAreNotThoseThatItsPoolMisses) {
  constexpr const char* kPicker = R"(
---
{apiVersion: v1, kind: Service, metadata: {name: epp},
 spec: {selector: {app: epp}, ports: [{port: 9002}]}}
---
{apiVersion: apps/v1, kind: Deployment, metadata: {name: epp}, spec: {
 selector: {matchLabels: {app: epp}}, template: {metadata: {labels: {app: epp, x: z}}}}}
)";
  const std::string_view all = kPoolAndPicker;
  const std::string pool(all.substr(0, all.find("---")));
  EXPECT_THAT(checked(pool + kPicker).text, Not(HasSubstr("note")));
}

TEST(KubeCheck, ReferencesThatLeadToNothingAreNotes) {
  const struct {
    const char* more;
    const char* note;
  } cases[] = {
      {R"({apiVersion: llm-d.ai/v1alpha2, kind: InferenceObjective, metadata: {name: a},
spec: {poolRef: {name: other}}})",
       "f.yaml:20: note: spec.poolRef: no InferencePool default/other in these files"},
      {R"({apiVersion: llm-d.ai/v1alpha2, kind: InferenceModelRewrite,
metadata: {name: a, namespace: elsewhere},
spec: {poolRef: {name: pool}, rules: []}})",
       "f.yaml:21: note: spec.poolRef: no InferencePool elsewhere/pool in these files"},
      {R"({apiVersion: llm-d.ai/v1alpha2, kind: InferenceObjective, metadata: {name: a},
spec: {poolRef: {name: pool, group: serving.kserve.io}}})",
       "f.yaml:20: note: spec.poolRef: the InferencePool default/pool is in the group "
       "inference.networking.k8s.io; write group: inference.networking.k8s.io"},
      {R"({apiVersion: inference.networking.k8s.io/v1, kind: InferencePool, metadata: {name: two},
spec: {selector: {matchLabels: {app: a}}, targetPorts: [{number: 1}],
endpointPickerRef: {name: nobody, port: {number: 1}}}})",
       "f.yaml:21: note: spec.endpointPickerRef: no Service default/nobody in these files"},
      {R"({apiVersion: inference.networking.k8s.io/v1, kind: InferencePool, metadata: {name: two},
spec: {selector: {matchLabels: {app: a}}, targetPorts: [{number: 1}],
endpointPickerRef: {name: epp, port: {number: 1}}}})",
       "f.yaml:21: note: spec.endpointPickerRef: the Service default/epp has no port 1"},
      {R"({apiVersion: v1, kind: Service, metadata: {name: epp}, spec: {ports: [{port: 9002}]}})",
       "f.yaml:19: note: is already at f.yaml:9: the last one counts"},
      {R"({apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {
selector: {matchLabels: {app: other}}, template: {metadata: {labels: {app: other}}}}})",
       "f.yaml:5: note: spec.selector: takes none of the pods of default in these files"},
      {R"({apiVersion: apps/v1, kind: Deployment, metadata: {name: d}, spec: {
selector: {matchLabels: {app: vllm}}, template: {metadata: {labels: {app: vllm}},
spec: {containers: [{ports: [{containerPort: 8300}, {containerPort: 9000}]}, {name: x}]}}}})",
       "f.yaml:6: note: spec.targetPorts: the containers of Deployment d name port 8300, 9000, "
       "not 8000"},
  };
  for (const auto& test : cases) {
    const KubeCheckReport report = checked(std::string(kPoolAndPicker) + "---\n" + test.more);
    EXPECT_EQ(report.problems, 0u) << report.text;
    EXPECT_THAT(report.text, HasSubstr(test.note));
    EXPECT_EQ(remarks_of(report.text).size(), 1u) << report.text;
  }
}

TEST(KubeCheck, PodsThatThePoolTakesAreFound) {
  const KubeCheckReport report = checked(std::string(kPoolAndPicker) + R"(---
apiVersion: apps/v1
kind: Deployment
metadata: {name: d}
spec: {selector: {matchLabels: {app: vllm}}, template: {metadata: {labels: {app: vllm, x: y}}}}
)");
  EXPECT_TRUE(remarks_of(report.text).empty()) << report.text;
}

TEST(KubeCheck, ReferencesAreLookedForInAllFiles) {
  const std::string text = kPoolAndPicker;
  const size_t cut = text.find("---\napiVersion: llm-d.ai");
  const KubeCheckReport report = check_manifests(
      {{"objective.yaml", text.substr(cut)}, {"pool.yaml", text.substr(0, cut)}}, "default");
  EXPECT_EQ(report.text,
            "objective.yaml:2 InferenceObjective default/high: ok\n"
            "pool.yaml:1 InferencePool default/pool: ok\n"
            "pool.yaml:9 Service default/epp: ok\n"
            "3 objects: 3 ok, 0 with problems, 0 not read by kvasir\n");
}

TEST(KubeCheck, ProblemsHaveTheirLineAndAreCounted) {
  const KubeCheckReport report = checked(R"(apiVersion: v1
kind: ConfigMap
metadata: {name: a}
data:
  port: 8000
---
kind: Pod
)");
  EXPECT_EQ(report.problems, 2u);
  EXPECT_EQ(
      report.text,
      "f.yaml:1 ConfigMap default/a: problem\n"
      "  f.yaml:5: problem: data.port: must be a text, not a number (in quotes it is a text)\n"
      "f.yaml:7 Pod: problem\n"
      "  f.yaml:7: problem: apiVersion: missing\n"
      "2 objects: 0 ok, 2 with problems, 0 not read by kvasir\n");
}

TEST(KubeCheck, AFileThatIsNoYamlIsOneProblem) {
  const KubeCheckReport report = check_manifests({{"bad.yaml", "a: 1\na: 2\n"},
                                                  {"chart.yaml", "name: {{ .Values.name }}\n"},
                                                  {"no.yaml", "# x\n"}},
                                                 "default");
  EXPECT_EQ(report.problems, 2u);
  EXPECT_EQ(report.text,
            "bad.yaml:2: problem: the key 'a' stands twice in one map\n"
            "chart.yaml:1: problem: a key must be a text, not a list or a map\n"
            "chart.yaml:1: note: with {{ in it this may be a Helm template: `helm template CHART | "
            "kvasir kube check -` checks what comes of it\n"
            "no.yaml: no objects\n"
            "0 objects: 0 ok, 0 with problems, 0 not read by kvasir\n");
}

TEST(KubeCheck, TheNamespaceOfTheFlagCountsWhereThereIsNone) {
  const KubeCheckReport report = check_manifests({{"f.yaml", kPoolAndPicker}}, "models");
  EXPECT_THAT(report.text, HasSubstr("InferencePool models/pool: ok"));
  EXPECT_THAT(report.text, Not(HasSubstr("note")));
}

TEST(KubeCheck, OldGroupsAreReadAndNoted) {
  const KubeCheckReport report = checked(R"(apiVersion: inference.networking.x-k8s.io/v1alpha2
kind: InferencePool
metadata: {name: a}
spec: {selector: {app: vllm}, targetPortNumber: 8000, extensionRef: {name: epp}}
)");
  EXPECT_EQ(report.problems, 0u);
  EXPECT_THAT(report.text,
              HasSubstr("f.yaml:1: note: the last release with this version is v1.4.0"));
  EXPECT_THAT(report.text, HasSubstr("f.yaml:4: note: spec.extensionRef: no Service default/epp"));
}

TEST(KubeCheck, WeightsOnSomeTargetsAreNoted) {
  const KubeCheckReport report = checked(R"(apiVersion: llm-d.ai/v1alpha2
kind: InferenceModelRewrite
metadata: {name: a}
spec:
  poolRef: {name: pool}
  rules:
  - targets: [{modelRewrite: x, weight: 1}, {modelRewrite: z}]
  - matches: []
)");
  EXPECT_THAT(report.text, HasSubstr("note: a rule has targets with and without a weight"));
  EXPECT_THAT(report.text, HasSubstr("note: a rule has no targets"));
}

TEST(KubeCheck, SelectorsThatTheTemplateDoesNotMeetAreRefused) {
  const KubeCheckReport report = checked(R"(apiVersion: apps/v1
kind: StatefulSet
metadata: {name: a}
spec:
  selector:
    matchLabels:
      app: x
      tier: y
  template: {metadata: {labels: {app: x}}}
)");
  EXPECT_EQ(report.problems, 1u);
  EXPECT_THAT(report.text, HasSubstr("f.yaml:8: problem: spec.selector.matchLabels.tier:"));
}

}  // namespace
}  // namespace kvasir

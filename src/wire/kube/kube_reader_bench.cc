// What reading pods from the API server costs: a page of a list, and one event of a watch. Pods are
// of the size that real ones have, most of it fields that are not read.
#include <benchmark/benchmark.h>

#include <string>

#include "wire/kube/kube_reader.h"

namespace kvasir {
namespace {

// About 5 KB.
std::string pod_json(size_t number) {
  const std::string name = "vllm-decode-7c9f8d6b5-" + std::to_string(number);
  std::string json =
      R"({"metadata":{"name":")" + name +
      R"(","generateName":"vllm-decode-7c9f8d6b5-","namespace":"llm-serving",)"
      R"("uid":"6f1c1f0e-4a52-4c37-9a10-)" +
      std::to_string(100'000'000'000 + number) + R"(","resourceVersion":")" +
      std::to_string(70'000 + number) +
      R"(","creationTimestamp":"2026-01-31T08:00:00Z","labels":{"app":"vllm",)"
      R"("llm-d.ai/role":"decode","model":"llama-70b","pod-template-hash":"7c9f8d6b5"},)"
      R"("annotations":{"prometheus.io/port":"8000"},"managedFields":[)";
  for (int i = 0; i < 3; ++i) {
    json += i > 0 ? "," : "";
    json +=
        R"({"manager":"kubelet","operation":"Update","apiVersion":"v1",)"
        R"("time":"2026-01-31T08:00:05Z","fieldsType":"FieldsV1","fieldsV1":{"f:status":{)"
        R"("f:conditions":{"k:{\"type\":\"ContainersReady\"}":{".":{},"f:lastProbeTime":{},)"
        R"("f:lastTransitionTime":{},"f:status":{},"f:type":{}},"k:{\"type\":\"Ready\"}":{".":{},)"
        R"("f:lastProbeTime":{},"f:lastTransitionTime":{},"f:status":{},"f:type":{}}},)"
        R"("f:containerStatuses":{},"f:hostIP":{},"f:phase":{},"f:podIP":{},"f:podIPs":{".":{},)"
        R"("k:{\"ip\":\"10.244.0.7\"}":{".":{},"f:ip":{}}},"f:startTime":{}}},"subresource":"status"})";
  }
  json += R"(]},"spec":{"nodeName":"node1","containers":[)";
  for (int i = 0; i < 3; ++i) {
    json += i > 0 ? "," : "";
    json +=
        R"({"name":"vllm","image":"vllm/vllm-openai:v0.15.0","args":["--model=meta-llama/Llama-2-70b-hf",)"
        R"("--port=8001","--tensor-parallel-size=4","--max-model-len=8192"],"ports":[{"name":"http",)"
        R"("containerPort":8001,"protocol":"TCP"}],"env":[{"name":"POD_IP","valueFrom":{"fieldRef":)"
        R"({"apiVersion":"v1","fieldPath":"status.podIP"}}},{"name":"NCCL_DEBUG","value":"INFO"}],)"
        R"("resources":{"limits":{"cpu":"16","memory":"90Gi","nvidia.com/gpu":"1"},"requests":)"
        R"({"cpu":"16","memory":"80Gi","nvidia.com/gpu":"1"}},"volumeMounts":[{"name":)"
        R"("kube-api-access","readOnly":true,"mountPath":"/var/run/secrets/kubernetes.io/serviceaccount"}],)"
        R"("readinessProbe":{"httpGet":{"path":"/health","port":8001,"scheme":"HTTP"},"periodSeconds":5}})";
  }
  json +=
      R"(],"restartPolicy":"Always","schedulerName":"default-scheduler"},"status":{"phase":"Running",)"
      R"("conditions":[)";
  for (const char* type :
       {"PodReadyToStartContainers", "Initialized", "Ready", "ContainersReady"}) {
    json +=
        std::string(R"({"type":")") + type +
        R"(","status":"True","lastProbeTime":null,"lastTransitionTime":"2026-01-31T08:00:05Z"},)";
  }
  return json +
         R"({"type":"PodScheduled","status":"True"}],"hostIP":"10.240.0.2","podIP":"10.244.0.7",)"
         R"("podIPs":[{"ip":"10.244.0.7"}],"startTime":"2026-01-31T08:00:00Z"}})";
}

void list_page(benchmark::State& state) {
  std::string json =
      R"({"kind":"PodList","apiVersion":"v1","metadata":{"resourceVersion":"80000"},"items":[)";
  for (int64_t i = 0; i < state.range(0); ++i)
    json += (i > 0 ? "," : "") + pod_json(static_cast<size_t>(i));
  json += "]}";
  KubeReader reader;
  size_t objects = 0;
  for ([[maybe_unused]] const auto step : state) {
    const auto page = reader.read_list(json, kube_type(KubeKind::kPod));
    objects = page.ok() ? page->objects.size() : 0;
  }
  if (objects != static_cast<size_t>(state.range(0))) state.SkipWithError("not all were read");
  state.SetBytesProcessed(static_cast<int64_t>(state.iterations() * json.size()));
  state.counters["pod_bytes"] = static_cast<double>(json.size()) / static_cast<double>(objects);
}
BENCHMARK(list_page)->Arg(500)->Unit(benchmark::kMillisecond);

void watch_event(benchmark::State& state) {
  const std::string json = R"({"type":"MODIFIED","object":)" + pod_json(1) + "}";
  KubeReader reader;
  bool read = false;
  for ([[maybe_unused]] const auto step : state) {
    const auto event = reader.read_event(json, kube_type(KubeKind::kPod));
    read = event.ok() && event->object != nullptr;
  }
  if (!read) state.SkipWithError("was not read");
}
BENCHMARK(watch_event)->Unit(benchmark::kMicrosecond);

}  // namespace
}  // namespace kvasir

BENCHMARK_MAIN();

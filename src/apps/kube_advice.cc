#include "apps/kube_advice.h"

#include <algorithm>
#include <functional>

#include "apps/kube_spelling.h"

namespace kvasir {
namespace {

constexpr std::string_view kEnvoyGateway = "gateway.envoyproxy.io";
constexpr std::string_view kKserve = "serving.kserve.io";
constexpr std::string_view kOldInference = "inference.networking.x-k8s.io";

enum class When : uint8_t {
  kAlways,
  kPresent,
  kAbsent,
  kMap,        // the value is a map
  kList,       // the value is a list
  kText,       // the value is `wanted`
  kOtherText,  // the value is a text that is not `wanted`
};

enum class Says : uint8_t { kRefused, kNote };

// One thing to say about objects of a kind. A path goes through all elements of a list.
struct Rule {
  std::string_view group;
  std::string_view kind;
  Says says;
  When when;
  std::string_view path;
  std::string_view text;
  std::string_view wanted = {};
};

constexpr std::string_view kExtensionPolicy = "EnvoyExtensionPolicy";
constexpr std::string_view kTrafficPolicy = "BackendTrafficPolicy";
constexpr std::string_view kUpper =
    "Envoy Gateway writes Streamed, Buffered, BufferedPartial or FullDuplexStreamed; for none "
    "leave "
    "body out";

constexpr Rule kRules[] = {
    // --- Envoy Gateway ---------------------------------------------------------------------------
    {kEnvoyGateway, kExtensionPolicy, Says::kRefused, When::kMap, "spec.extProc",
     "Envoy Gateway has a list here: - backendRefs: ..."},
    {kEnvoyGateway, kExtensionPolicy, Says::kRefused, When::kPresent,
     "spec.extProc.processingTimeout", "Envoy Gateway calls it messageTimeout"},
    {kEnvoyGateway, kExtensionPolicy, Says::kRefused, When::kPresent,
     "spec.extProc.processingMode.request.headers",
     "unknown to Envoy Gateway, which sends headers whenever processingMode.request is there"},
    {kEnvoyGateway, kExtensionPolicy, Says::kRefused, When::kPresent,
     "spec.extProc.processingMode.response.headers",
     "unknown to Envoy Gateway, which sends headers whenever processingMode.response is there"},
    {kEnvoyGateway, kExtensionPolicy, Says::kRefused, When::kText,
     "spec.extProc.processingMode.request.body", kUpper, "BUFFERED"},
    {kEnvoyGateway, kExtensionPolicy, Says::kRefused, When::kText,
     "spec.extProc.processingMode.request.body", kUpper, "NONE"},
    {kEnvoyGateway, kExtensionPolicy, Says::kRefused, When::kText,
     "spec.extProc.processingMode.response.body", kUpper, "BUFFERED"},
    {kEnvoyGateway, kExtensionPolicy, Says::kRefused, When::kText,
     "spec.extProc.processingMode.response.body", kUpper, "NONE"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kOtherText, "spec.targetRefs.group",
     "Envoy Gateway attaches this policy to Gateways and routes only: name the HTTPRoute",
     "gateway.networking.k8s.io"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kPresent, "spec.timeout.request",
     "unknown to Envoy Gateway: write timeout.http.requestTimeout"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kPresent, "spec.timeout.backend",
     "unknown to Envoy Gateway: write timeout.tcp.connectTimeout for connecting; "
     "retry.perRetry.timeout bounds one attempt"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kPresent, "spec.retry.perTryTimeout",
     "unknown to Envoy Gateway: write retry.perRetry.timeout"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kPresent, "spec.retry.backoff",
     "unknown to Envoy Gateway: write retry.perRetry.backOff with baseInterval and maxInterval; it "
     "has no multiplier"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kList, "spec.retry.retryOn",
     "Envoy Gateway has a map here: retryOn: {triggers: [...]}"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kPresent,
     "spec.retry.retriableStatusCodes",
     "unknown to Envoy Gateway: write retry.retryOn.httpStatusCodes"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kPresent, "spec.retry.retryBudget",
     "unknown to Envoy Gateway: circuitBreaker.maxParallelRetries bounds retries"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kPresent,
     "spec.circuitBreaker.maxRequests",
     "unknown to Envoy Gateway: write circuitBreaker.maxParallelRequests"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kPresent,
     "spec.circuitBreaker.maxRetries",
     "unknown to Envoy Gateway: write circuitBreaker.maxParallelRetries"},
    {kEnvoyGateway, kTrafficPolicy, Says::kRefused, When::kPresent,
     "spec.circuitBreaker.outlierDetection",
     "unknown to Envoy Gateway: write healthCheck.passive with interval, baseEjectionTime, "
     "maxEjectionPercent, consecutive5XxErrors, consecutiveGatewayErrors, "
     "splitExternalLocalOriginErrors, consecutiveLocalOriginFailures; success rates have no "
     "counterpart"},
    {kEnvoyGateway, "EnvoyFilter", Says::kRefused, When::kAlways, "",
     "Envoy Gateway has no such kind (EnvoyFilter is Istio's): write the filters "
     "RequestHeaderModifier and ResponseHeaderModifier of the HTTPRoute's rule"},
    // --- KServe ----------------------------------------------------------------------------------
    {kKserve, "InferencePool", Says::kNote, When::kAlways, "",
     "no release of KServe has this kind, so kubectl apply needs a CRD for it; everywhere else "
     "write inference.networking.k8s.io/v1"},
    {kKserve, "InferencePool", Says::kNote, When::kAbsent, "spec.targetPorts",
     "no port, so endpoints are at port 8000; targetPorts: [{number: N}] says another"},
    {kKserve, "InferencePool", Says::kNote, When::kPresent, "spec.modelName",
     "not used: each pod says itself which models it serves"},
    {kKserve, "InferencePool", Says::kNote, When::kPresent, "spec.routingPolicy",
     "not used: profiles, scorers and weights are in the picker's configuration (kvasir config "
     "check)"},
    {kKserve, "InferencePool", Says::kNote, When::kPresent, "spec.disaggregation",
     "not used: prefill-filter and decode-filter of the picker's configuration select by "
     "llm-d.ai/role"},
    {kKserve, "InferencePool", Says::kNote, When::kPresent, "spec.healthCheck",
     "not used: healthCheck of the configuration's scraper, or the flags --health-*"},
    {kKserve, "InferencePool", Says::kNote, When::kPresent, "spec.autoscaling",
     "not used: nothing here scales; a HorizontalPodAutoscaler does"},
    {kKserve, "InferenceModel", Says::kNote, When::kAlways, "",
     "no release of KServe has this kind: an InferenceObjective (llm-d.ai/v1alpha2) has a model's "
     "priority, an InferenceModelRewrite its names and weights"},
    {kKserve, "LocalModel", Says::kNote, When::kAlways, "",
     "no release of KServe has this kind: the nearest is LocalModelCache"},
    // --- The inference extension -----------------------------------------------------------------
    {kOldInference, "InferencePool", Says::kNote, When::kAlways, "",
     "the last release with this version is v1.4.0: write inference.networking.k8s.io/v1 with "
     "selector.matchLabels, targetPorts and endpointPickerRef"},
    {kOldInference, "InferenceModel", Says::kNote, When::kAlways, "",
     "the last release with this kind is v0.3.0: an InferenceObjective (llm-d.ai/v1alpha2) has a "
     "model's priority, an InferenceModelRewrite its names and weights"},
    {kOldInference, "InferenceObjective", Says::kNote, When::kAlways, "",
     "the last release with this group is v1.5.0: write llm-d.ai/v1alpha2, the fields are the "
     "same"},
    {kOldInference, "InferenceModelRewrite", Says::kNote, When::kAlways, "",
     "the last release with this group is v1.5.0: write llm-d.ai/v1alpha2, the fields are the "
     "same"},
    {"gateway.networking.k8s.io", "HTTPRoute", Says::kNote, When::kText,
     "spec.rules.backendRefs.group",
     "the API server takes it, but a gateway that does not know the group answers "
     "ResolvedRefs=False, InvalidKind: write inference.networking.k8s.io",
     kKserve},
    // --- What is no object of a cluster ----------------------------------------------------------
    {"kustomize.config.k8s.io", "Kustomization", Says::kNote, When::kAlways, "",
     "no object of a cluster: kubectl apply -k FOLDER; `kubectl kustomize FOLDER | kvasir kube "
     "check -` checks what comes of it"},
    {"llm-d.ai", "EndpointPickerConfig", Says::kNote, When::kAlways, "",
     "no object of a cluster but the picker's configuration: kvasir config check FILE"},
    {kOldInference, "EndpointPickerConfig", Says::kNote, When::kAlways, "",
     "no object of a cluster but the picker's configuration: kvasir config check FILE"},
};

// Calls f(value) for each value at `path`.
void for_each_at(const Value& value, std::string_view path,
                 const std::function<void(const Value&)>& f) {
  if (const Value::List* list = value.list(); list != nullptr && !path.empty()) {
    for (const Value& element : *list) for_each_at(element, path, f);
    return;
  }
  if (path.empty()) return f(value);
  const size_t dot = std::min(path.find('.'), path.size());
  const Value* next = value.find(path.substr(0, dot));
  if (next != nullptr) for_each_at(*next, path.substr(std::min(dot + 1, path.size())), f);
}

bool holds(const Rule& rule, const Value& value) {
  switch (rule.when) {
    case When::kAlways:
    case When::kPresent:
      return true;
    case When::kAbsent:
      return false;
    case When::kMap:
      return value.map() != nullptr;
    case When::kList:
      return value.list() != nullptr;
    case When::kText:
      return value.text() != nullptr && *value.text() == rule.wanted;
    case When::kOtherText:
      return value.text() != nullptr && *value.text() != rule.wanted;
  }
  return false;
}

std::string at_path(std::string_view path, std::string_view text) {
  return (path.empty() ? "" : std::string(path) + ": ") + std::string(text);
}

void apply(const Rule& rule, const ManifestObject& object, KubeAdvice& advice) {
  std::vector<Remark>& remarks = rule.says == Says::kRefused ? advice.problems : advice.notes;
  bool present = false;
  for_each_at(object.written, rule.path, [&](const Value& value) {
    present = true;
    if (!holds(rule, value)) return;
    const bool has_line = !rule.path.empty() && value.line() > 0;
    const int line = has_line ? value.line() : object.line;
    remarks.push_back({line, at_path(rule.path, rule.text)});
  });
  if (rule.when == When::kAbsent && !present) {
    remarks.push_back({object.line, at_path(rule.path, rule.text)});
  }
}

bool is_workload(const ManifestObject& object) {
  const std::string_view kind = object.kind;
  return group_of(object) == "apps" && (kind == "Deployment" || kind == "StatefulSet" ||
                                        kind == "DaemonSet" || kind == "ReplicaSet");
}

// apps/v1: a selector, and pods that have its labels.
void check_workload(const ManifestObject& object, KubeAdvice& advice) {
  const auto refuse = [&](int line, std::string text) {
    advice.problems.push_back({line, std::move(text)});
  };
  const Value* labels = pod_labels_of(object);
  const Value* selector = find_path(object.written, "spec.selector");
  if (selector == nullptr) {
    refuse(object.line,
           "spec.selector: missing: write selector.matchLabels, and the same labels in "
           "template.metadata.labels");
  }
  if (labels == nullptr) {
    return refuse(object.line,
                  "spec.template.metadata.labels: missing: the pods need the labels "
                  "of spec.selector");
  }
  const Value* wanted = selector != nullptr ? selector->find("matchLabels") : nullptr;
  if (wanted == nullptr || wanted->map() == nullptr) return;
  for (const auto& [key, value] : *wanted->map()) {
    const Value* label = labels->find(key);
    const bool same = label != nullptr && label->text() != nullptr && value.text() != nullptr &&
                      *label->text() == *value.text();
    if (!same) {
      refuse(value.line(), "spec.selector.matchLabels." + key +
                               ": template.metadata.labels has another value, "
                               "or none");
    }
  }
}

// Commands of Envoy that do not give what their header is read as.
void check_header_values(const ManifestObject& object, KubeAdvice& advice) {
  for (const char* place : {"spec.requestHeaderModifier.add", "spec.requestHeaderModifier.set",
                            "spec.responseHeaderModifier.add", "spec.responseHeaderModifier.set"}) {
    const Value* list = find_path(object.written, place);
    if (list == nullptr || list->list() == nullptr) continue;
    for (const Value& header : *list->list()) {
      const Value* name = header.find("name");
      const Value* value = header.find("value");
      if (name == nullptr || value == nullptr || !name->text() || !value->text()) continue;
      const auto warn = [&](const char* text) {
        advice.notes.push_back({value->line(), *name->text() + ": " + text});
      };
      if (*name->text() == "x-forwarded-proto" && *value->text() == "%PROTOCOL%") {
        warn("%PROTOCOL% is HTTP/1.1 or HTTP/2, not http or https: Envoy sets this header itself");
      }
      if (*name->text() == "x-selected-pod" && *value->text() == "%UPSTREAM_CLUSTER%") {
        warn(
            "%UPSTREAM_CLUSTER% is a cluster's name, not a pod's: the picker sets this header "
            "itself");
      }
    }
  }
}

void check_rewrite(const ManifestObject& object, KubeAdvice& advice) {
  if (object.object == nullptr || object.object->type->as != KubeKind::kInferenceModelRewrite)
    return;
  const auto& rewrite = static_cast<const InferenceModelRewrite&>(*object.object);
  for (const InferenceModelRewrite::Rule& rule : rewrite.rules) {
    const auto weighted = std::count_if(
        rule.targets.begin(), rule.targets.end(),
        [](const InferenceModelRewrite::Target& target) { return target.weight.has_value(); });
    if (weighted > 0 && static_cast<size_t>(weighted) < rule.targets.size()) {
      advice.notes.push_back(
          {object.line,
           "a rule has targets with and without a weight: those without are never "
           "drawn"});
    }
    if (rule.targets.empty()) {
      advice.notes.push_back({object.line, "a rule has no targets: it changes nothing"});
    }
  }
}

}  // namespace

std::string_view group_of(const ManifestObject& object) {
  const std::string_view version = object.api_version;
  const size_t slash = version.find('/');
  return slash == std::string_view::npos ? std::string_view() : version.substr(0, slash);
}

const Value* find_path(const Value& value, std::string_view path) {
  const Value* at = &value;
  while (at != nullptr && !path.empty()) {
    const size_t dot = std::min(path.find('.'), path.size());
    at = at->find(path.substr(0, dot));
    path.remove_prefix(std::min(dot + 1, path.size()));
  }
  return at;
}

const Value* pod_labels_of(const ManifestObject& object) {
  const bool is_pod = object.kind == "Pod" && group_of(object).empty();
  const bool has_template =
      is_workload(object) || (object.kind == "Job" && group_of(object) == "batch");
  if (!is_pod && !has_template) return nullptr;
  const Value* labels =
      find_path(object.written, is_pod ? "metadata.labels" : "spec.template.metadata.labels");
  return labels != nullptr && labels->map() != nullptr ? labels : nullptr;
}

KubeAdvice advise(const ManifestObject& object) {
  KubeAdvice advice;
  for (const Rule& rule : kRules) {
    if (rule.group == group_of(object) && rule.kind == object.kind) apply(rule, object, advice);
  }
  if (is_workload(object)) check_workload(object, advice);
  if (object.kind == "EnvoyFilter") check_header_values(object, advice);
  check_rewrite(object, advice);
  for (Remark& note : unknown_fields(object)) advice.notes.push_back(std::move(note));
  if (auto meant = meant_kind(object)) advice.problems.push_back({object.line, std::move(*meant)});
  return advice;
}

}  // namespace kvasir

#include "wire/kube/kube_types.h"

#include <array>

#include "base/assert.h"
#include "base/text.h"
#include "wire/kube/kube_gateway_objects.h"

namespace kvasir {
namespace {

constexpr std::string_view kGie = "inference.networking.x-k8s.io";

// Of one kind the preferred group and version first. The tutorials' own InferencePool
// (serving.kserve.io) has the same fields under other names; its reader knows both.
constexpr KubeType kTypes[] = {
    {"", "v1", "Pod", "pods", true, KubeKind::kPod},
    {"", "v1", "Service", "services", true, KubeKind::kService},
    {"discovery.k8s.io", "v1", "EndpointSlice", "endpointslices", true, KubeKind::kEndpointSlice},
    {"", "v1", "Node", "nodes", false, KubeKind::kNode},
    {"", "v1", "Secret", "secrets", true, KubeKind::kSecret},
    {"", "v1", "ConfigMap", "configmaps", true, KubeKind::kConfigMap},
    {"coordination.k8s.io", "v1", "Lease", "leases", true, KubeKind::kLease},
    {"inference.networking.k8s.io", "v1", "InferencePool", "inferencepools", true,
     KubeKind::kInferencePool},
    {kGie, "v1alpha2", "InferencePool", "inferencepools", true, KubeKind::kInferencePool},
    {"serving.kserve.io", "v1alpha1", "InferencePool", "inferencepools", true,
     KubeKind::kInferencePool},
    {"llm-d.ai", "v1alpha2", "InferenceObjective", "inferenceobjectives", true,
     KubeKind::kInferenceObjective},
    {kGie, "v1alpha2", "InferenceObjective", "inferenceobjectives", true,
     KubeKind::kInferenceObjective},
    {"llm-d.ai", "v1alpha2", "InferenceModelRewrite", "inferencemodelrewrites", true,
     KubeKind::kInferenceModelRewrite},
    {kGie, "v1alpha2", "InferenceModelRewrite", "inferencemodelrewrites", true,
     KubeKind::kInferenceModelRewrite},
    {"", "v1", "Namespace", "namespaces", false, KubeKind::kNamespace},
    {kGatewayGroup, "v1", "GatewayClass", "gatewayclasses", false, KubeKind::kGatewayClass},
    {kGatewayGroup, "v1beta1", "GatewayClass", "gatewayclasses", false, KubeKind::kGatewayClass},
    {kGatewayGroup, "v1", "Gateway", "gateways", true, KubeKind::kGateway},
    {kGatewayGroup, "v1beta1", "Gateway", "gateways", true, KubeKind::kGateway},
    {kGatewayGroup, "v1", "HTTPRoute", "httproutes", true, KubeKind::kHTTPRoute},
    {kGatewayGroup, "v1beta1", "HTTPRoute", "httproutes", true, KubeKind::kHTTPRoute},
    // v1beta1 is what API servers store; v1 came with v1.5.
    {kGatewayGroup, "v1beta1", "ReferenceGrant", "referencegrants", true,
     KubeKind::kReferenceGrant},
    {kGatewayGroup, "v1", "ReferenceGrant", "referencegrants", true, KubeKind::kReferenceGrant},
};

}  // namespace

std::span<const KubeType> kube_types() {
  return kTypes;
}

std::string_view to_string(KubeKind kind) {
  return kube_type(kind).kind;
}

const KubeType& kube_type(KubeKind kind) {
  for (const KubeType& type : kTypes) {
    if (type.as == kind) return type;
  }
  KVASIR_ASSERT(false, "a KubeKind without a row");
  return kTypes[0];
}

const KubeType* find_kube_type(std::string_view api_version, std::string_view kind) {
  for (const KubeType& type : kTypes) {
    if (type.kind == kind && type.api_version() == api_version) return &type;
  }
  return nullptr;
}

const KubeType* find_kube_type(KubeKind kind, std::string_view group) {
  for (const KubeType& type : kTypes) {
    if (type.as == kind && type.group == group) return &type;
  }
  return nullptr;
}

std::string KubeType::api_version() const {
  return group.empty() ? std::string(version) : std::string(group) + "/" + std::string(version);
}

std::string KubeType::path(std::string_view name_space, std::string_view name) const {
  std::string path = (group.empty() ? "/api/" : "/apis/") + api_version();
  if (namespaced && !name_space.empty()) path += "/namespaces/" + percent_encoded(name_space);
  path.append("/").append(plural);
  if (!name.empty()) path += "/" + percent_encoded(name);
  return path;
}

}  // namespace kvasir

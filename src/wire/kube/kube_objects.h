// The kinds of Kubernetes objects that Kvasir reads, each with the fields that it uses. Sources:
// the API reference of Kubernetes 1.34; the CRDs of gateway-api-inference-extension v1.6.0 and
// llm-d-router v0.10.0; the tutorials' own kinds (serving.kserve.io).
//
// T::kKind names each for ObjectStore. A new kind is a struct here, a row in kube_types.cc and a
// reader.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/label_requirement.h"
#include "wire/kube/kube_object.h"

namespace kvasir {

// Numbers the C++ types below, whatever group they were read from.
enum class KubeKind : uint8_t {
  kPod,
  kService,
  kEndpointSlice,
  kNode,
  kSecret,
  kConfigMap,
  kLease,
  kInferencePool,
  kInferenceObjective,
  kInferenceModelRewrite,
  kNamespace,
  kGatewayClass,
  kGateway,
  kHTTPRoute,
  kReferenceGrant,
};
inline constexpr size_t kKubeKinds = 15;
std::string_view to_string(KubeKind kind);  // "Pod"

struct Pod final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kPod;
  std::string ip;         // empty: none yet
  std::string node_name;  // spec.nodeName
  std::string node_ip;    // status.hostIP
  bool ready = false;     // the condition Ready is True
  std::string phase;      // Pending, Running, Succeeded, Failed, Unknown
};

struct ServicePort {
  std::string name;
  uint16_t port = 0;
  std::string target_port;  // a number or the name of a container's port; empty: the same as `port`
  std::string app_protocol;
};

struct Service final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kService;
  std::string cluster_ip;  // "None": headless
  std::string service_type;  // ClusterIP, NodePort, LoadBalancer, ExternalName
  std::string external_name;
  std::map<std::string, std::string> selector;
  std::vector<ServicePort> ports;
};

struct EndpointSlice final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kEndpointSlice;
  struct Member {
    std::vector<std::string> addresses;
    bool ready = true;  // unknown counts as true (API reference, EndpointConditions)
    bool serving = true;
    bool terminating = false;
    std::string target_name;  // targetRef.name: most often a pod
    std::string node_name;
  };
  struct Port {
    std::string name;
    uint16_t port = 0;
  };
  std::string service_name;  // the label kubernetes.io/service-name
  std::string address_type;  // IPv4, IPv6, FQDN
  std::vector<Member> members;
  std::vector<Port> ports;
};

// Its labels are what is read of it.
struct Node final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kNode;
};

struct Secret final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kSecret;
  std::string secret_type;                  // "kubernetes.io/tls"
  std::map<std::string, std::string> data;  // decoded; never logged
};

struct ConfigMap final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kConfigMap;
  std::map<std::string, std::string> data;
};

struct Lease final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kLease;
  std::string holder;  // empty: nobody
  int32_t duration_seconds = 0;
  std::string acquire_time;  // MicroTime, as written
  std::string renew_time;
  int32_t transitions = 0;
};

struct InferencePool final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kInferencePool;
  std::map<std::string, std::string> selector;  // spec.selector.matchLabels; all must hold
  // spec.selector.matchExpressions, which only the tutorials' kind has; all must hold, too.
  std::vector<LabelRequirement> requirements;
  std::vector<uint16_t> target_ports;           // in the order of the list; one at least
  std::string app_protocol = "http";            // or "kubernetes.io/h2c"
  struct PickerRef {
    std::string group;
    std::string kind = "Service";
    std::string name;
    std::optional<uint16_t> port;
    bool fail_open = false;  // failureMode: FailOpen
  };
  std::optional<PickerRef> picker;
};

// Whether a pod with these labels belongs to the pool: all of selector and requirements hold.
bool selects(const InferencePool& pool, const std::map<std::string, std::string>& labels);

struct PoolRef {
  std::string group;
  std::string kind;
  std::string name;  // in the object's own namespace
};

struct InferenceObjective final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kInferenceObjective;
  PoolRef pool;
  int32_t priority = 0;
};

struct InferenceModelRewrite final : KubeObject {
  static constexpr KubeKind kKind = KubeKind::kInferenceModelRewrite;
  struct Target {
    std::string model;              // modelRewrite
    std::optional<int32_t> weight;  // 1 to 1,000,000
  };
  struct Rule {
    std::vector<std::string> models;  // matches[].model.value, Exact; empty: every model
    std::vector<Target> targets;
  };
  PoolRef pool;
  std::vector<Rule> rules;
};

}  // namespace kvasir

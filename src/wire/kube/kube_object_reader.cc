#include "wire/kube/kube_object_reader.h"

#include "wire/kube/kube_names.h"

namespace kvasir {
namespace {

// Holds the whole object once more, as kubectl last sent it: up to 256 KiB.
constexpr std::string_view kLastApplied = "kubectl.kubernetes.io/last-applied-configuration";

void read_labels(const KubeField& labels, ObjectMeta& meta) {
  meta.labels = labels.texts();
  for (const auto& [key, value] : meta.labels) {
    if (is_label_key(key) && is_label_value(value)) continue;
    labels.problem("'" + key.substr(0, 64) +
                   "' or its value is no label: letters, digits, '-', "
                   "'_' and '.', 63 at most");
    return;
  }
}

void read_annotations(const KubeField& annotations, ObjectMeta& meta) {
  annotations.for_each_entry([&](std::string_view key, const KubeField& entry) {
    if (key == kLastApplied) return;
    if (const auto text = entry.text()) meta.annotations.emplace(key, *text);
  });
}

void read_name(const KubeField& meta_field, ObjectMeta& meta) {
  const KubeField name = meta_field["name"];
  meta.name = name.required_text();
  if (!meta.name.empty() && !is_dns_subdomain(meta.name)) {
    name.problem("must be lower case letters, digits, '-' and '.', 253 at most");
  }
}

void read_namespace(const KubeField& meta_field, const KubeType& type,
                    std::string_view default_namespace, ObjectMeta& meta) {
  const KubeField name_space = meta_field["namespace"];
  if (!type.namespaced) return;
  meta.name_space = name_space.text().value_or(default_namespace);
  if (meta.name_space.empty()) {
    name_space.missing();
  } else if (!is_dns_label(meta.name_space)) {
    name_space.problem("must be lower case letters, digits and '-', 63 at most");
  }
}

void read_times(const KubeField& meta_field, ObjectMeta& meta) {
  const KubeField created = meta_field["creationTimestamp"];
  if (const auto text = created.text()) {
    const auto seconds = rfc3339_seconds(*text);
    if (!seconds) created.problem("must be a time such as 2026-01-31T08:00:00Z");
    meta.created_seconds = seconds.value_or(0);
  }
  meta.deleting = meta_field["deletionTimestamp"].text().has_value();
}

ObjectMeta read_meta(const KubeField& object, const KubeType& type,
                     std::string_view default_namespace) {
  ObjectMeta meta;
  const KubeField field = object["metadata"];
  if (!field.present()) field.missing();
  read_name(field, meta);
  read_namespace(field, type, default_namespace, meta);
  meta.uid = field["uid"].text().value_or("");
  meta.resource_version = field["resourceVersion"].text().value_or("");
  read_times(field, meta);
  read_labels(field["labels"], meta);
  read_annotations(field["annotations"], meta);
  return meta;
}

// Items of a list name no type, and all others the one that was asked for.
void check_type(const KubeField& object, const KubeType& type) {
  const KubeField kind = object["kind"];
  const KubeField version = object["apiVersion"];
  const auto other = [](const KubeField& field, const std::string& wanted) {
    const auto text = field.text();
    if (text && *text != wanted) field.problem("must be " + wanted + " here");
  };
  other(kind, std::string(type.kind));
  other(version, type.api_version());
}

template <class T>
KubeObjectPtr read_as(void (*read)(const KubeField&, T&), const KubeField& object,
                      const KubeType& type, ObjectMeta meta) {
  auto value = std::make_shared<T>();
  value->type = &type;
  value->meta = std::move(meta);
  read(object, *value);
  return value;
}

// Of these the labels are enough.
void read_node(const KubeField&, Node&) {}
void read_namespace_object(const KubeField&, Namespace&) {}

KubeObjectPtr read_kind(const KubeField& object, const KubeType& type, ObjectMeta meta) {
  switch (type.as) {
    case KubeKind::kPod:
      return read_as(read_pod, object, type, std::move(meta));
    case KubeKind::kService:
      return read_as(read_service, object, type, std::move(meta));
    case KubeKind::kEndpointSlice:
      return read_as(read_endpoint_slice, object, type, std::move(meta));
    case KubeKind::kNode:
      return read_as(read_node, object, type, std::move(meta));
    case KubeKind::kSecret:
      return read_as(read_secret, object, type, std::move(meta));
    case KubeKind::kConfigMap:
      return read_as(read_config_map, object, type, std::move(meta));
    case KubeKind::kLease:
      return read_as(read_lease, object, type, std::move(meta));
    case KubeKind::kInferencePool:
      return read_as(read_inference_pool, object, type, std::move(meta));
    case KubeKind::kInferenceObjective:
      return read_as(read_inference_objective, object, type, std::move(meta));
    case KubeKind::kInferenceModelRewrite:
      return read_as(read_model_rewrite, object, type, std::move(meta));
    case KubeKind::kNamespace:
      return read_as(read_namespace_object, object, type, std::move(meta));
    case KubeKind::kGatewayClass:
      return read_as(read_gateway_class, object, type, std::move(meta));
    case KubeKind::kGateway:
      return read_as(read_gateway, object, type, std::move(meta));
    case KubeKind::kHTTPRoute:
      return read_as(read_http_route, object, type, std::move(meta));
    case KubeKind::kReferenceGrant:
      return read_as(read_reference_grant, object, type, std::move(meta));
  }
  return nullptr;
}

}  // namespace

KubeObjectPtr read_kube_object(const KubeField& object, const KubeType& type,
                               std::string_view default_namespace) {
  check_type(object, type);
  KubeObjectPtr read = read_kind(object, type, read_meta(object, type, default_namespace));
  return object.has_problems() ? nullptr : read;
}

ObjectKey object_key(const KubeField& object, const KubeType& type,
                     std::string_view default_namespace) {
  const KubeField meta = object["metadata"];
  const KubeField name = meta["name"];
  const KubeField name_space = meta["namespace"];
  ObjectKey key;
  if (name.is_text()) key.name = *name.text();
  if (type.namespaced) key.name_space = default_namespace;
  if (type.namespaced && name_space.is_text()) key.name_space = *name_space.text();
  return key;
}

}  // namespace kvasir

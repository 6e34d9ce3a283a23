// Fills the values of kube_objects.h from JSON: one function for each kind, and what they share.
// What is wrong is noted in the field's list of problems. Private to wire/.
#pragma once

#include <string_view>

#include "wire/kube/kube_field.h"
#include "wire/kube/kube_gateway_objects.h"
#include "wire/kube/kube_reader.h"

namespace kvasir {

// Null when there are problems. Without a namespace of its own the object is in
// `default_namespace`, if its kind has namespaces.
KubeObjectPtr read_kube_object(const KubeField& object, const KubeType& type,
                               std::string_view default_namespace = {});

// The name and the namespace, as far as there are any.
ObjectKey object_key(const KubeField& object, const KubeType& type,
                     std::string_view default_namespace = {});

void read_pod(const KubeField& object, Pod& pod);
void read_service(const KubeField& object, Service& service);
void read_endpoint_slice(const KubeField& object, EndpointSlice& slice);
void read_secret(const KubeField& object, Secret& secret);
void read_config_map(const KubeField& object, ConfigMap& map);
void read_lease(const KubeField& object, Lease& lease);
void read_inference_pool(const KubeField& object, InferencePool& pool);
void read_inference_objective(const KubeField& object, InferenceObjective& objective);
void read_model_rewrite(const KubeField& object, InferenceModelRewrite& rewrite);
void read_gateway_class(const KubeField& object, GatewayClass& read);
void read_gateway(const KubeField& object, KubeGateway& gateway);
void read_http_route(const KubeField& object, HTTPRoute& route);
void read_reference_grant(const KubeField& object, ReferenceGrant& grant);

// matchLabels and matchExpressions.
void read_label_selector(const KubeField& field, KubeSelector& selector);

}  // namespace kvasir

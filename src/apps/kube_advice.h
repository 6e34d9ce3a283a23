// What is known of an object beyond what is read of it: what the API server says to it when the
// kind's own CRDs are installed (Kubernetes 1.34, the inference extension v1.6.0, Envoy Gateway
// v1.9.1, KServe v0.20.0), and what to write instead.
#pragma once

#include <vector>

#include "base/remark.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {

struct KubeAdvice {
  std::vector<Remark> problems;  // the API server refuses the object as it stands
  std::vector<Remark> notes;
};

KubeAdvice advise(const ManifestObject& object);

// The part of apiVersion before the slash; empty for the core group.
std::string_view group_of(const ManifestObject& object);

// Of a Deployment, StatefulSet, DaemonSet, ReplicaSet, Job: the labels that its pods get; of a Pod
// its own. Null: another kind, or no labels.
const Value* pod_labels_of(const ManifestObject& object);

// The value at "spec.template"; null: there is none.
const Value* find_path(const Value& value, std::string_view path);

}  // namespace kvasir

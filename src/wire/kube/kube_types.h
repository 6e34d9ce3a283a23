// Which groups, versions and kinds of Kubernetes objects are read, and under which paths the API
// server has them.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "wire/kube/kube_objects.h"

namespace kvasir {

struct KubeType {
  std::string_view group;    // empty: the core group
  std::string_view version;  // "v1"
  std::string_view kind;     // "Pod"
  std::string_view plural;   // "pods"
  bool namespaced = true;
  KubeKind as = KubeKind::kPod;  // the C++ type it is read into

  std::string api_version() const;  // "v1", "apps/v1"
  // "/api/v1/namespaces/N/pods", "/apis/GROUP/V/PLURAL"; of all namespaces when `name_space` is
  // empty. With `name` the path of one object. Names are percent-encoded.
  std::string path(std::string_view name_space, std::string_view name = {}) const;
};

// All rows; of one C++ type the preferred group and version comes first.
std::span<const KubeType> kube_types();
// Null: not read.
const KubeType* find_kube_type(std::string_view api_version, std::string_view kind);
const KubeType& kube_type(KubeKind kind);  // the preferred one
const KubeType* find_kube_type(KubeKind kind, std::string_view group);

}  // namespace kvasir

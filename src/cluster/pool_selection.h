// Which pods a pool has, and at which of their ports: by an InferencePool, or by flags alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "cluster/label_selector.h"
#include "wire/kube/kube_objects.h"

namespace kvasir {

inline constexpr size_t kTargetPortsMost = 8;  // the CRD's limit

struct PoolSelection {
  // An InferencePool, whose selector and ports count. Empty name: the selector below.
  std::string pool_name;
  std::string pool_namespace = "default";
  std::string pool_group = "inference.networking.k8s.io";
  // Upstream's --endpoint-selector and --endpoint-target-ports: a pool without an InferencePool.
  LabelSelector selector;
  std::vector<uint16_t> target_ports;

  bool by_pool() const { return !pool_name.empty(); }
  // Whether an objective's or a rewrite's reference, in `name_space`, is to this pool. Without a
  // group it is to whichever group's.
  bool is_meant_by(const PoolRef& pool, const std::string& name_space) const;
  // For people: "InferencePool default/vllm", "pods app=vllm in default".
  std::string to_string() const;
};

// "3000,3001": 1 to kTargetPortsMost of them; one that is named twice counts once.
Result<std::vector<uint16_t>> parse_target_ports(std::string_view text);

}  // namespace kvasir

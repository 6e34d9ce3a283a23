// Which pods a pool has, and at which of their ports: by an InferencePool, or by flags alone.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/result.h"

namespace kvasir {

inline constexpr size_t kTargetPortsMost = 8;  // the CRD's limit

struct PoolSelection {
  // An InferencePool, whose selector and ports count. Empty name: the selector below.
  std::string pool_name;
  std::string pool_namespace = "default";
  std::string pool_group = "inference.networking.k8s.io";
  // Upstream's --endpoint-selector and --endpoint-target-ports: a pool without an InferencePool.
  std::map<std::string, std::string> selector;
  std::vector<uint16_t> target_ports;

  bool by_pool() const { return !pool_name.empty(); }
};

// "app=vllm,llm-d.ai/role=decode": equality only, as InferencePool's matchLabels.
Result<std::map<std::string, std::string>> parse_endpoint_selector(const std::string& text);

}  // namespace kvasir

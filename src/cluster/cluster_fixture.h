// Kubernetes objects made by hand, for tests that fill an ObjectStore without a server.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "kube/object_store.h"
#include "wire/kube/kube_types.h"

namespace kvasir {

using LabelMap = std::map<std::string, std::string>;

inline std::shared_ptr<Pod> make_pod(const std::string& name, const std::string& ip,
                                     LabelMap labels = {{"app", "vllm"}}) {
  auto pod = std::make_shared<Pod>();
  pod->type = &kube_type(KubeKind::kPod);
  pod->meta.name = name;
  pod->meta.name_space = "default";
  pod->meta.labels = std::move(labels);
  pod->ip = ip;
  pod->ready = true;
  return pod;
}

inline std::shared_ptr<InferencePool> make_pool(
    LabelMap selector = {{"app", "vllm"}}, std::vector<uint16_t> ports = {8000},
    const std::string& group = "inference.networking.k8s.io") {
  auto pool = std::make_shared<InferencePool>();
  pool->type = find_kube_type(KubeKind::kInferencePool, group);
  pool->meta.name = "pool";
  pool->meta.name_space = "default";
  pool->selector = std::move(selector);
  pool->target_ports = std::move(ports);
  return pool;
}

inline std::shared_ptr<Node> make_node(const std::string& name, LabelMap labels) {
  auto node = std::make_shared<Node>();
  node->type = &kube_type(KubeKind::kNode);
  node->meta.name = name;
  node->meta.labels = std::move(labels);
  return node;
}

inline std::shared_ptr<InferenceObjective> make_objective(const std::string& name, int32_t priority,
                                                          const std::string& group = "llm-d.ai") {
  auto objective = std::make_shared<InferenceObjective>();
  objective->type = find_kube_type(KubeKind::kInferenceObjective, group);
  objective->meta.name = name;
  objective->meta.name_space = "default";
  objective->pool.name = "pool";
  objective->priority = priority;
  return objective;
}

inline std::shared_ptr<InferenceModelRewrite> make_rewrite(
    const std::string& name, int64_t created_seconds,
    std::vector<InferenceModelRewrite::Rule> rules, const std::string& group = "llm-d.ai") {
  auto rewrite = std::make_shared<InferenceModelRewrite>();
  rewrite->type = find_kube_type(KubeKind::kInferenceModelRewrite, group);
  rewrite->meta.name = name;
  rewrite->meta.name_space = "default";
  rewrite->meta.created_seconds = created_seconds;
  rewrite->pool.name = "pool";
  rewrite->rules = std::move(rules);
  return rewrite;
}

}  // namespace kvasir

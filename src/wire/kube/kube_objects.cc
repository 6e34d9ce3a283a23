#include "wire/kube/kube_objects.h"

#include <algorithm>

namespace kvasir {
namespace {

bool holds(const LabelRequirement& requirement, const std::map<std::string, std::string>& labels) {
  using Operator = LabelRequirement::Operator;
  const auto found = labels.find(requirement.key);
  const bool exists = found != labels.end();
  if (requirement.op == Operator::kExists) return exists;
  if (requirement.op == Operator::kDoesNotExist) return !exists;
  const std::vector<std::string>& values = requirement.values;
  const bool named =
      exists && std::find(values.begin(), values.end(), found->second) != values.end();
  return named == (requirement.op == Operator::kIn);
}

}  // namespace

bool selects(const InferencePool& pool, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : pool.selector) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return std::all_of(
      pool.requirements.begin(), pool.requirements.end(),
      [&](const LabelRequirement& requirement) { return holds(requirement, labels); });
}

}  // namespace kvasir

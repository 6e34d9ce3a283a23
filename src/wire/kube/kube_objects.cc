#include "wire/kube/kube_objects.h"

#include <algorithm>

namespace kvasir {
bool selects(const InferencePool& pool, const std::map<std::string, std::string>& labels) {
  for (const auto& [key, value] : pool.selector) {
    const auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return std::all_of(
      pool.requirements.begin(), pool.requirements.end(),
      [&](const LabelRequirement& requirement) { return requirement.holds(labels); });
}

}  // namespace kvasir

// A condition on one label, as selectors of Kubernetes have it (matchExpressions). kNotIn holds
// where the label is missing, too. Source: the Kubernetes documentation, "Labels and Selectors".
#pragma once

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace kvasir {

struct LabelRequirement {
  enum class Operator : uint8_t { kIn, kNotIn, kExists, kDoesNotExist };
  std::string key;
  Operator op = Operator::kExists;
  std::vector<std::string> values = {};  // of kIn and kNotIn

  bool operator==(const LabelRequirement&) const = default;

  bool holds(const std::map<std::string, std::string>& labels) const {
    const auto label = labels.find(key);
    const bool exists = label != labels.end();
    if (op == Operator::kExists) return exists;
    if (op == Operator::kDoesNotExist) return !exists;
    const bool in =
        exists && std::find(values.begin(), values.end(), label->second) != values.end();
    return in == (op == Operator::kIn);
  }
};

}  // namespace kvasir

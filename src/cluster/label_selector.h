// Which objects are meant, by their labels: as kubectl's --selector and InferencePool's matchLabels
// and matchExpressions say it.
//
//   app=vllm,tier!=frontend,env in (prod,staging),env notin (test),canary,!retired
//
// All conditions must hold. != and notin hold for objects without the label, too. Source: the
// Kubernetes documentation, "Labels and Selectors".
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "wire/kube/kube_objects.h"

namespace kvasir {

class LabelSelector {
 public:
  using Labels = std::map<std::string, std::string>;

  LabelSelector() = default;  // takes everything
  // Every label must have its value, and every requirement must hold.
  explicit LabelSelector(const Labels& labels,
                         const std::vector<LabelRequirement>& requirements = {});
  // The Error says which part is wrong, and why.
  static Result<LabelSelector> parse(std::string_view text);

  bool matches(const Labels& labels) const;
  bool empty() const { return conditions_.empty(); }
  // What the API server understands.
  std::string to_string() const;

  bool operator==(const LabelSelector&) const = default;

 private:
  class Reader;

  std::vector<LabelRequirement> conditions_;
};

}  // namespace kvasir

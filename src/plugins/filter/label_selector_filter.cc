#include "plugins/filter/label_selector_filter.h"

#include <algorithm>

#include "base/label_requirement.h"
#include "base/parameters.h"
#include "fleet/fleet.h"
#include "plugins/filter/absent_label.h"

namespace kvasir {
namespace {

class LabelSelectorFilter final : public Filter {
 public:
  explicit LabelSelectorFilter(std::vector<LabelRequirement> requirements)
      : requirements_(std::move(requirements)) {}

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    std::erase_if(candidates, [&](EndpointId id) {
      const Endpoint& endpoint = *cycle.fleet.endpoints[index_of(id)].endpoint;
      return !std::all_of(requirements_.begin(), requirements_.end(),
                          [&](const LabelRequirement& one) { return one.holds(endpoint.labels); });
    });
  }

  std::string why_nobody(const Cycle& cycle) const override {
    for (const LabelRequirement& one : requirements_) {
      const bool wants_it = one.op == LabelRequirement::Operator::kIn ||
                            one.op == LabelRequirement::Operator::kExists;
      std::string why = wants_it ? absent_label(cycle, one.key) : std::string();
      if (!why.empty()) return why;
    }
    return {};
  }

 private:
  const std::vector<LabelRequirement> requirements_;
};

LabelRequirement read_expression(const Value& value, std::string_view name,
                                 std::vector<Remark>& problems) {
  using Operator = LabelRequirement::Operator;
  Parameters parameters(value, name);
  LabelRequirement requirement;
  requirement.key = parameters.text("key", "");
  const std::string named =
      parameters.choice("operator", "In", {"In", "NotIn", "Exists", "DoesNotExist"});
  requirement.values = parameters.texts("values");
  requirement.op = named == "In"       ? Operator::kIn
                   : named == "NotIn"  ? Operator::kNotIn
                   : named == "Exists" ? Operator::kExists
                                       : Operator::kDoesNotExist;
  const bool wants_values = named == "In" || named == "NotIn";
  if (requirement.key.empty()) parameters.fail("key", "is missing");
  if (wants_values == requirement.values.empty()) {
    parameters.fail("values", wants_values ? "must not be empty" : "must be empty for " + named);
  }
  append(problems, parameters.problems());
  return requirement;
}

MadePlugin make_label_selector_filter(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  std::vector<LabelRequirement> requirements;
  const Value* labels = parameters.any("matchLabels");
  const Value* expressions = parameters.any("matchExpressions");
  const bool has_labels = labels != nullptr && labels->map() != nullptr;
  const bool has_expressions = expressions != nullptr && expressions->list() != nullptr;
  if (labels != nullptr && !has_labels) parameters.fail("matchLabels", "must be a map");
  if (expressions != nullptr && !has_expressions) {
    parameters.fail("matchExpressions", "must be a list");
  }
  std::vector<Remark> problems = parameters.problems();
  if (has_labels) {
    Parameters pairs(*labels, name);
    for (const auto& [key, wanted] : *labels->map()) {
      requirements.push_back({key, LabelRequirement::Operator::kIn, {pairs.text(key, "")}});
    }
    append(problems, pairs.problems());
  }
  if (has_expressions) {
    for (const Value& expression : *expressions->list()) {
      requirements.push_back(read_expression(expression, name, problems));
    }
  }
  if (!problems.empty()) return problems;
  return make_plugin<LabelSelectorFilter>(std::move(requirements));
}

}  // namespace

PluginType label_selector_filter_plugin() {
  return {"label-selector-filter", make_label_selector_filter};
}

PluginType by_label_selector_plugin() {
  return {"by-label-selector", make_label_selector_filter, Stability::kDeprecated, "label-selector-filter"};
}

}  // namespace kvasir

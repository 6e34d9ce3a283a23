#include "plugins/filter/utilization_filter.h"

#include <algorithm>

#include "base/parameters.h"
#include "plugins/endpoint_attribute.h"

namespace kvasir {
namespace {

constexpr std::string_view kActiveRequests = "active-requests";

struct Condition {
  std::string metric;
  double max_value = 0;
};

class UtilizationFilter final : public Filter {
 public:
  // `loads` may be null when no condition is about active requests.
  UtilizationFilter(std::vector<Condition> conditions, bool fallback_on_empty,
                    const InflightLoads* loads)
      : conditions_(std::move(conditions)), fallback_on_empty_(fallback_on_empty), loads_(loads) {}

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    const auto full = [&](EndpointId id) { return is_full(cycle, id); };
    if (fallback_on_empty_ && std::all_of(candidates.begin(), candidates.end(), full)) return;
    std::erase_if(candidates, full);
  }

 private:
  bool is_full(const Cycle& cycle, EndpointId id) const {
    return std::any_of(conditions_.begin(), conditions_.end(), [&](const Condition& condition) {
      return value_of(condition.metric, cycle, id) > condition.max_value;
    });
  }
  double value_of(const std::string& metric, const Cycle& cycle, EndpointId id) const {
    if (metric == kActiveRequests) return loads_->loads()[index_of(id)].requests;
    return endpoint_attribute(cycle.fleet.endpoints[index_of(id)].metrics, metric).value_or(0);
  }

  const std::vector<Condition> conditions_;
  const bool fallback_on_empty_;
  const InflightLoads* const loads_;
};

Condition read_condition(const Value& value, std::string_view name, std::vector<Remark>& problems) {
  Parameters parameters(value, name);
  Condition condition;
  condition.metric = parameters.choice(
      "metric", "", {kActiveRequests, "running-requests", "waiting-queue", "kv-cache-utilization"});
  condition.max_value = parameters.number("maxValue", 0);
  if (!parameters.has("maxValue")) parameters.fail("maxValue", "is missing");
  append(problems, parameters.problems());
  return condition;
}

MadePlugin make_utilization_filter(std::string_view name, const Value& value,
                                   PluginContext& context) {
  Parameters parameters(value, name);
  const Value* list = parameters.any("conditions");
  const bool fallback_on_empty = parameters.boolean("fallbackOnEmpty", false);
  const bool lists = list != nullptr && list->list() != nullptr && !list->list()->empty();
  if (!lists) parameters.fail("conditions", "must be a list of one at least");
  std::vector<Remark> problems = parameters.problems();
  if (!lists) return problems;
  std::vector<Condition> conditions;
  for (const Value& item : *list->list()) {
    conditions.push_back(read_condition(item, name, problems));
  }
  if (!problems.empty()) return problems;
  const InflightLoads* loads = nullptr;
  if (std::any_of(conditions.begin(), conditions.end(),
                  [](const Condition& condition) { return condition.metric == kActiveRequests; })) {
    const Result<InflightLoads*> found = context.find<InflightLoads>("");
    if (!found) return found.error();
    loads = *found;
  }
  return make_plugin<UtilizationFilter>(std::move(conditions), fallback_on_empty, loads);
}

}  // namespace

PluginType utilization_filter_plugin() {
  return {"utilization-filter", make_utilization_filter, Stability::kAlpha};
}

}  // namespace kvasir

#include "plugins/filter/endpoint_attribute_filter.h"

#include <algorithm>

#include "base/parameters.h"
#include "plugins/endpoint_attribute.h"

namespace kvasir {
namespace {

struct EndpointAttributeFilterSettings {
  std::string attribute;
  bool keep_missing = true;
  bool fallback_on_empty = false;
  std::string compare;
  double threshold = 0;
};

class EndpointAttributeFilter final : public Filter {
 public:
  explicit EndpointAttributeFilter(EndpointAttributeFilterSettings settings)
      : settings_(std::move(settings)) {}

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    const auto fails = [&](EndpointId id) {
      const auto value =
          endpoint_attribute(cycle.fleet.endpoints[index_of(id)].metrics, settings_.attribute);
      return value ? !compares(*value) : !settings_.keep_missing;
    };
    if (settings_.fallback_on_empty && std::all_of(candidates.begin(), candidates.end(), fails)) {
      return;
    }
    std::erase_if(candidates, fails);
  }

 private:
  bool compares(double value) const {
    const std::string& compare = settings_.compare;
    if (compare == "LessThan") return value < settings_.threshold;
    if (compare == "LessThanOrEqual") return value <= settings_.threshold;
    if (compare == "GreaterThan") return value > settings_.threshold;
    if (compare == "GreaterThanOrEqual") return value >= settings_.threshold;
    if (compare == "Equal") return value == settings_.threshold;
    return value != settings_.threshold;
  }

  const EndpointAttributeFilterSettings settings_;
};

MadePlugin make_endpoint_attribute_filter(std::string_view name, const Value& value,
                                          PluginContext&) {
  const Value none;
  Parameters parameters(value, name);
  EndpointAttributeFilterSettings settings;
  settings.attribute = parameters.text("attribute", "");
  settings.keep_missing = parameters.choice("onMissing", "Pass", {"Pass", "Fail"}) == "Pass";
  settings.fallback_on_empty = parameters.boolean("fallbackOnEmpty", false);
  parameters.ignore("producer");
  const Value* algorithm = parameters.any("algorithm");
  if (settings.attribute.empty()) parameters.fail("attribute", "is missing");

  Parameters chosen(algorithm != nullptr ? *algorithm : none, name);
  chosen.choice("type", "", {"threshold"});
  const Value* threshold = chosen.any("threshold");
  if (threshold == nullptr) chosen.fail("threshold", "is missing");
  std::vector<Remark> problems = parameters.problems();
  append(problems, chosen.problems());
  if (threshold == nullptr) return problems;

  Parameters limit(*threshold, name);
  settings.compare = limit.choice(
      "operator", "",
      {"LessThan", "LessThanOrEqual", "GreaterThan", "GreaterThanOrEqual", "Equal", "NotEqual"});
  settings.threshold = limit.number("value", 0, -1e300);
  append(problems, limit.problems());
  if (!problems.empty()) return problems;
  return make_plugin<EndpointAttributeFilter>(std::move(settings));
}

}  // namespace

PluginType endpoint_attribute_filter_plugin() {
  return {"endpoint-attribute-filter", make_endpoint_attribute_filter, Stability::kAlpha};
}

}  // namespace kvasir

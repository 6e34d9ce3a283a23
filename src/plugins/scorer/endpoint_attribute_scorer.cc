#include "plugins/scorer/endpoint_attribute_scorer.h"

#include <algorithm>
#include <limits>

#include "base/parameters.h"
#include "plugins/endpoint_attribute.h"

namespace kvasir {
namespace {

struct AttributeRange {
  double min = std::numeric_limits<double>::infinity();
  double max = -std::numeric_limits<double>::infinity();
};

class EndpointAttributeScorer final : public Scorer {
 public:
  EndpointAttributeScorer(std::string attribute, bool lower_is_better,
                          std::optional<AttributeRange> fixed)
      : attribute_(std::move(attribute)), lower_is_better_(lower_is_better), fixed_(fixed) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const AttributeRange range = fixed_ ? *fixed_ : range_of(cycle, candidates);
    for (size_t i = 0; i < candidates.size(); ++i) {
      const std::optional<double> value = read(cycle, candidates[i]);
      if (value) scores[i] = score_of(*value, range);
    }
  }

 private:
  std::optional<double> read(const Cycle& cycle, EndpointId id) const {
    return endpoint_attribute(cycle.fleet.endpoints[index_of(id)].metrics, attribute_);
  }
  AttributeRange range_of(const Cycle& cycle, std::span<const EndpointId> candidates) const {
    AttributeRange range;
    for (const EndpointId id : candidates) {
      const std::optional<double> value = read(cycle, id);
      if (!value) continue;
      range.min = std::min(range.min, *value);
      range.max = std::max(range.max, *value);
    }
    return range;
  }
  double score_of(double value, const AttributeRange& range) const {
    if (range.min == range.max) return 1;
    const double share = std::clamp((value - range.min) / (range.max - range.min), 0.0, 1.0);
    return lower_is_better_ ? 1 - share : share;
  }

  const std::string attribute_;
  const bool lower_is_better_;
  const std::optional<AttributeRange> fixed_;
};

std::optional<AttributeRange> read_range(const Value& value, std::string_view name,
                                         std::vector<Remark>& problems) {
  Parameters parameters(value, name);
  const Value* fixed = parameters.any("fixedRange");
  const Value* adaptive = parameters.any("adaptiveRange");
  if (fixed != nullptr && adaptive != nullptr) {
    parameters.fail("fixedRange", "and adaptiveRange exclude each other");
  }
  append(problems, parameters.problems());
  if (fixed == nullptr) return std::nullopt;
  Parameters limits(*fixed, name);
  const AttributeRange range{limits.number("min", 0, -1e300), limits.number("max", 0, -1e300)};
  if (!(range.min < range.max)) limits.fail("min", "must be less than max");
  append(problems, limits.problems());
  return range;
}

MadePlugin make_endpoint_attribute_scorer(std::string_view name, const Value& value,
                                          PluginContext&) {
  const Value none;
  Parameters parameters(value, name);
  const std::string attribute = parameters.text("attributeKey", "");
  parameters.ignore("producer");
  const Value* algorithm = parameters.any("algorithm");
  if (attribute.empty()) parameters.fail("attributeKey", "is missing");

  Parameters chosen(algorithm != nullptr ? *algorithm : none, name);
  const std::string type =
      chosen.choice("type", "", {"linear_lower_is_better", "linear_higher_is_better"});
  const Value* normalization = chosen.any("normalization");
  std::vector<Remark> problems = parameters.problems();
  append(problems, chosen.problems());
  const std::optional<AttributeRange> range =
      read_range(normalization != nullptr ? *normalization : none, name, problems);
  if (!problems.empty()) return problems;
  return make_plugin<EndpointAttributeScorer>(attribute, type == "linear_lower_is_better", range);
}

}  // namespace

PluginType endpoint_attribute_scorer_plugin() {
  return {"endpoint-attribute-scorer", make_endpoint_attribute_scorer, Stability::kAlpha};
}

}  // namespace kvasir

#include "plugins/scorer/context_length_aware.h"

#include <charconv>

#include "base/parameters.h"
#include "base/text.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

struct Range {
  double min = 0;
  double max = 0;
};

std::optional<double> whole_number(std::string_view text) {
  text = trimmed(text);
  uint64_t number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return static_cast<double>(number);
}

std::optional<Range> parse_range(std::string_view text) {
  const size_t dash = text.find('-');
  if (dash == std::string_view::npos) return std::nullopt;
  const auto min = whole_number(text.substr(0, dash));
  const auto max = whole_number(text.substr(dash + 1));
  if (!min || !max || *min > *max) return std::nullopt;
  return Range{*min, *max};
}

double range_score(double length, const Range& range) {
  if (length > range.max) return 0.3 / (1 + (length - range.max) / 1000);
  if (length < range.min) return 0.3 / (1 + (range.min - length) / 1000);
  const double width = range.max - range.min;
  if (width == 0) return 1;
  const double narrow = 1 / (1 + width / 10'000);
  const double headroom = (range.max - length) / width;
  return 0.3 + 0.7 * (0.7 * narrow + 0.3 * headroom);
}

class ContextLengthAware final : public Filter, public Scorer {
 public:
  ContextLengthAware(std::string label, bool filters)
      : label_(std::move(label)), filters_(filters) {}

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    if (!filters_) return;
    const double length = cycle.request.prompt_tokens;
    std::erase_if(candidates, [&](EndpointId id) {
      const std::string* text = cycle.fleet.endpoints[index_of(id)].endpoint->label(label_);
      if (text == nullptr) return false;
      const std::optional<Range> range = parse_range(*text);
      return !range || length < range->min || length > range->max;
    });
  }

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    for (size_t i = 0; i < candidates.size(); ++i) {
      const std::string* text =
          cycle.fleet.endpoints[index_of(candidates[i])].endpoint->label(label_);
      if (text == nullptr) {
        scores[i] = 0.5;
      } else if (const std::optional<Range> range = parse_range(*text)) {
        scores[i] = range_score(cycle.request.prompt_tokens, *range);
      }
    }
  }

 private:
  const std::string label_;
  const bool filters_;
};

MadePlugin make_context_length_aware(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  const std::string label = parameters.text("label", "llm-d.ai/context-length-range");
  const bool filters = parameters.boolean("enableFiltering", false);
  if (label.empty()) parameters.fail("label", "must not be empty");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<ContextLengthAware>(label, filters);
}

}  // namespace

PluginType context_length_aware_plugin() {
  return {"context-length-aware", make_context_length_aware};
}

}  // namespace kvasir

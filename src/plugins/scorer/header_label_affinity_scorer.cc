#include "plugins/scorer/header_label_affinity_scorer.h"

#include "base/parameters.h"
#include "base/text.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

class HeaderLabelAffinityScorer final : public Scorer {
 public:
  HeaderLabelAffinityScorer(std::string header, std::string label)
      : header_(std::move(header)), label_(std::move(label)) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const std::string_view* wanted = cycle.request.header(header_);
    if (wanted == nullptr) return;
    for (size_t i = 0; i < candidates.size(); ++i) {
      const Endpoint& endpoint = *cycle.fleet.endpoints[index_of(candidates[i])].endpoint;
      const std::string* value = endpoint.label(label_);
      scores[i] = value != nullptr && *value == *wanted ? 1 : 0;
    }
  }

 private:
  const std::string header_;
  const std::string label_;
};

MadePlugin make_header_label_affinity_scorer(std::string_view name, const Value& value,
                                             PluginContext&) {
  Parameters parameters(value, name);
  const std::string header = lower_case(parameters.text("headerName", ""));
  const std::string label = parameters.text("labelKey", "");
  if (header.empty()) parameters.fail("headerName", "is missing");
  if (label.empty()) parameters.fail("labelKey", "is missing");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<HeaderLabelAffinityScorer>(header, label);
}

}  // namespace

PluginType header_label_affinity_scorer_plugin() {
  return {"header-label-affinity-scorer", make_header_label_affinity_scorer, Stability::kAlpha};
}

}  // namespace kvasir

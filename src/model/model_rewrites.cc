#include "model/model_rewrites.h"

#include <utility>

namespace kvasir {

void ModelRewriteTable::add(const std::string& origin, const std::vector<std::string>& models,
                            std::vector<Target> targets) {
  Rule rule{origin, std::move(targets)};
  for (const Target& target : rule.targets) rule.weights += target.weight.value_or(0);
  const auto shared = std::make_shared<const Rule>(std::move(rule));
  if (models.empty() && every_model_ == nullptr) every_model_ = shared;
  for (const std::string& model : models) by_model_.emplace(model, shared);
}

std::optional<ModelRewriteTable::Drawn> ModelRewriteTable::draw(std::string_view model,
                                                                Random& random) const {
  const auto found = by_model_.find(model);
  const Rule* rule = found != by_model_.end() ? found->second.get() : every_model_.get();
  if (rule == nullptr || rule->targets.empty()) return std::nullopt;
  if (rule->weights == 0) {
    return Drawn{rule->targets[random.below(rule->targets.size())].model, rule->origin};
  }
  uint64_t at = random.below(rule->weights);
  for (const Target& target : rule->targets) {
    const uint64_t weight = target.weight.value_or(0);
    if (at < weight) return Drawn{target.model, rule->origin};
    at -= weight;
  }
  return std::nullopt;  // at was below the sum
}

}  // namespace kvasir

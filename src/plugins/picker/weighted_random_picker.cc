#include "plugins/picker/weighted_random_picker.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "base/random.h"
#include "plugins/picker/picker_size.h"

namespace kvasir {
namespace {

struct Keyed {
  ScoredEndpoint endpoint;
  double key = 0;
};

class WeightedRandomPicker final : public Picker {
 public:
  WeightedRandomPicker(size_t chosen_max, uint64_t seed) : chosen_max_(chosen_max), random_(seed) {}

  size_t pick(const Cycle&, std::span<ScoredEndpoint> scored) override {
    const size_t chosen = std::min(chosen_max_, scored.size());
    keyed_.clear();
    for (const ScoredEndpoint& candidate : scored) {
      keyed_.push_back({candidate, key(candidate.score)});
    }
    std::partial_sort(keyed_.begin(), keyed_.begin() + chosen, keyed_.end(),
                      [](const Keyed& a, const Keyed& b) { return a.key > b.key; });
    for (size_t i = 0; i < scored.size(); ++i) scored[i] = keyed_[i].endpoint;
    return chosen;
  }

 private:
  // The logarithm of A-Res' key, which keeps their order and does not underflow for small scores.
  // Those without a score stand below all others, in random order.
  double key(double score) {
    const double uniform = 1 - random_.uniform();  // in (0, 1]
    if (!(score > 0)) return -std::numeric_limits<double>::max() * (0.5 + uniform / 2);
    return std::max(std::log(uniform) / score, -std::numeric_limits<double>::max() / 4);
  }

  const size_t chosen_max_;
  Random random_;
  std::vector<Keyed> keyed_;
};

MadePlugin make_weighted_random_picker(std::string_view name, const Value& value,
                                       PluginContext& context) {
  Parameters parameters(value, name);
  const size_t chosen_max = read_picker_size(parameters, context);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<WeightedRandomPicker>(chosen_max, context.seed());
}

}  // namespace

PluginType weighted_random_picker_plugin() {
  return {"weighted-random-picker", make_weighted_random_picker};
}

}  // namespace kvasir

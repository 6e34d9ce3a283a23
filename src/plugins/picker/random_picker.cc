#include "plugins/picker/random_picker.h"

#include <algorithm>

#include "base/random.h"
#include "plugins/picker/picker_size.h"

namespace kvasir {
namespace {

class RandomPicker final : public Picker {
 public:
  RandomPicker(size_t chosen_max, uint64_t seed) : chosen_max_(chosen_max), random_(seed) {}

  // The head of a Fisher-Yates shuffle.
  size_t pick(const Cycle&, std::span<ScoredEndpoint> scored) override {
    const size_t chosen = std::min(chosen_max_, scored.size());
    for (size_t i = 0; i < chosen; ++i) {
      std::swap(scored[i], scored[i + random_.below(scored.size() - i)]);
    }
    return chosen;
  }

 private:
  const size_t chosen_max_;
  Random random_;
};

MadePlugin make_random_picker(std::string_view name, const Value& value, PluginContext& context) {
  Parameters parameters(value, name);
  const size_t chosen_max = read_picker_size(parameters, context);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<RandomPicker>(chosen_max, context.seed());
}

}  // namespace

PluginType random_picker_plugin() {
  return {"random-picker", make_random_picker};
}

}  // namespace kvasir

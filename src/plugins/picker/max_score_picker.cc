#include "plugins/picker/max_score_picker.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "plugins/picker/picker_size.h"

namespace kvasir {
namespace {

bool better(const ScoredEndpoint& a, const ScoredEndpoint& b) {
  return a.score != b.score ? a.score > b.score : a.endpoint < b.endpoint;
}

class MaxScorePicker final : public Picker {
 public:
  MaxScorePicker(size_t chosen_max, size_t profiles) : chosen_max_(chosen_max), turns_(profiles) {
    std::iota(turns_.begin(), turns_.end(), 0);
  }

  size_t pick(const Cycle& cycle, std::span<ScoredEndpoint> scored) override {
    const uint64_t turn = turns_[cycle.profile]++;
    if (chosen_max_ == 1) {
      std::swap(scored[0], scored[best_in_turn(scored, turn)]);
      return 1;
    }
    const size_t chosen = std::min(chosen_max_, scored.size());
    std::sort(scored.begin(), scored.end(), better);
    for (size_t first = 0, end = 0; first < chosen; first = end) {
      end = end_of_tier(scored, first);
      const auto tier = scored.subspan(first, end - first);
      std::rotate(tier.begin(), tier.begin() + turn % tier.size(), tier.end());
    }
    return chosen;
  }

 private:
  // Of the best ones, in their order, the one whose turn it is.
  static size_t best_in_turn(std::span<const ScoredEndpoint> scored, uint64_t turn) {
    double best = scored[0].score;
    size_t ties = 0;
    for (const ScoredEndpoint& candidate : scored) best = std::max(best, candidate.score);
    for (const ScoredEndpoint& candidate : scored) ties += candidate.score == best;
    size_t skipped = turn % ties;
    size_t at = 0;
    while (scored[at].score != best || skipped-- > 0) ++at;
    return at;
  }

  static size_t end_of_tier(std::span<const ScoredEndpoint> scored, size_t first) {
    size_t end = first;
    while (end < scored.size() && scored[end].score == scored[first].score) ++end;
    return end;
  }

  const size_t chosen_max_;
  // Of each profile: else two that share the picker would each pass some over. No two begin at the
  // same place: an endpoint of all roles should not be picked for two of them.
  std::vector<uint64_t> turns_;
};

MadePlugin make_max_score_picker(std::string_view name, const Value& value,
                                 PluginContext& context) {
  Parameters parameters(value, name);
  const size_t chosen_max = read_picker_size(parameters, context);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<MaxScorePicker>(chosen_max, context.profiles());
}

}  // namespace

PluginType max_score_picker_plugin() {
  return {"max-score-picker", make_max_score_picker};
}

}  // namespace kvasir

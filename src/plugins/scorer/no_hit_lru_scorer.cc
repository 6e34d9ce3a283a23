#include "plugins/scorer/no_hit_lru_scorer.h"

#include <algorithm>
#include <limits>
#include <vector>

#include "base/parameters.h"

namespace kvasir {
namespace {

constexpr uint32_t kNever = std::numeric_limits<uint32_t>::max();

class NoHitLruScorer final : public Scorer {
 public:
  NoHitLruScorer(size_t size, size_t endpoints, const PrefixMatches& matches)
      : size_(size), matches_(matches), position_(endpoints, kNever) {
    order_.reserve(std::min(size, endpoints) + 1);
  }

  void score(const Cycle&, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const PrefixMatch& match = matches_.match();
    const auto hit = [&](EndpointId id) { return match.matched_tokens(id) > 0; };
    if (std::any_of(candidates.begin(), candidates.end(), hit)) {
      std::fill(scores.begin(), scores.end(), 0.5);
      return;
    }
    if (candidates.size() == 1) {
      scores[0] = 1;
      return;
    }
    const double last = static_cast<double>(candidates.size() - 1);
    uint32_t never = 0;
    for (size_t i = 0; i < candidates.size(); ++i) {
      if (position(candidates[i]) == kNever) scores[i] = 1 - never++ / last;
    }
    for (size_t i = 0; i < candidates.size(); ++i) {
      const uint32_t place = position(candidates[i]);
      if (place != kNever) scores[i] = std::max(0.0, 1 - (never + place) / last);
    }
  }

  void picked(const Cycle&, std::span<const ProfileResult> profiles) override {
    const PrefixMatch& match = matches_.match();
    const auto hit = [&](const ScoredEndpoint& candidate) {
      return match.matched_tokens(candidate.endpoint) > 0;
    };
    const auto& scored = profiles[0].scored;
    if (std::any_of(scored.begin(), scored.end(), hit)) return;
    for (const ProfileResult& profile : profiles) touch(profile.chosen[0].endpoint);
  }

  void endpoint_replaced(EndpointId id) override {
    if (position(id) == kNever) return;
    order_.erase(order_.begin() + position(id));
    position_[index_of(id)] = kNever;
    for (uint32_t i = 0; i < order_.size(); ++i) position_[index_of(order_[i])] = i;
  }

 private:
  uint32_t position(EndpointId id) const { return position_[index_of(id)]; }

  void touch(EndpointId id) {
    if (position(id) != kNever) order_.erase(order_.begin() + position(id));
    order_.push_back(id);
    if (order_.size() > size_) {
      position_[index_of(order_.front())] = kNever;
      order_.erase(order_.begin());
    }
    for (uint32_t i = 0; i < order_.size(); ++i) position_[index_of(order_[i])] = i;
  }

  const size_t size_;
  const PrefixMatches& matches_;
  std::vector<EndpointId> order_;   // that got a cold request, longest ago first
  std::vector<uint32_t> position_;  // by endpoint: its place in order_
};

MadePlugin make_no_hit_lru_scorer(std::string_view name, const Value& value,
                                  PluginContext& context) {
  Parameters parameters(value, name);
  const int64_t size = parameters.integer("lruSize", 1024, 1);
  const std::string producer = parameters.text("prefixMatchInfoProducerName", "");
  parameters.ignore("prefixPluginType");
  parameters.ignore("prefixPluginName");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>(producer);
  if (!matches) return matches.error();
  return make_plugin<NoHitLruScorer>(static_cast<size_t>(size), context.endpoints(), **matches);
}

}  // namespace

PluginType no_hit_lru_scorer_plugin() {
  return {"no-hit-lru-scorer", make_no_hit_lru_scorer};
}

}  // namespace kvasir

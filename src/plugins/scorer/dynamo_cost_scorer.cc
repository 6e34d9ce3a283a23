#include "plugins/scorer/dynamo_cost_scorer.h"

#include <algorithm>

#include "base/parameters.h"
#include "model/plugin_place.h"
#include "plugins/producer/booking_map.h"
#include "plugins/scorer/spread_score.h"

namespace kvasir {
namespace {

class DynamoCostScorer final : public Scorer {
 public:
  DynamoCostScorer(double overlap_weight, uint32_t block_tokens, size_t endpoints,
                   const InflightLoads& loads, const PrefixMatches& matches)
      : overlap_weight_(overlap_weight),
        block_tokens_(block_tokens),
        loads_(loads),
        matches_(matches),
        blocks_(endpoints) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const std::span<const InflightLoad> loads = loads_.loads();
    const PrefixMatch& match = matches_.match();
    score_by_spread(candidates, scores, [&](EndpointId id) {
      const uint32_t uncached =
          cycle.request.prompt_tokens - match.cached_tokens(cycle.request, id);
      const auto prefill = static_cast<double>(loads[index_of(id)].tokens + uncached);
      return overlap_weight_ * prefill / block_tokens_ + static_cast<double>(blocks_[index_of(id)]);
    });
  }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    const Booking booking{profiles[0].chosen[0].endpoint, blocks_of(cycle.request)};
    blocks_[index_of(booking.endpoint)] += booking.blocks;
    bookings_.insert(cycle.request.id, booking);
  }
  bool watches_answers() const override { return true; }
  void ended(RequestId request, TimePoint) override {
    const Booking* booking = bookings_.find(request);
    if (booking == nullptr) return;
    blocks_[index_of(booking->endpoint)] -= booking->blocks;
    bookings_.erase(request);
  }

  bool inherit(Plugin& predecessor) override {
    auto* old = dynamic_cast<DynamoCostScorer*>(&predecessor);
    if (old == nullptr || old->blocks_.size() > blocks_.size()) return false;
    if (old->block_tokens_ != block_tokens_) return false;  // its blocks are of another size
    std::copy(old->blocks_.begin(), old->blocks_.end(), blocks_.begin());
    bookings_ = std::move(old->bookings_);
    return true;
  }

 private:
  struct Booking {
    EndpointId endpoint{};
    uint64_t blocks = 0;
  };

  uint64_t blocks_of(const Request& request) const {
    return (uint64_t{request.prompt_tokens} + block_tokens_ - 1) / block_tokens_;
  }

  const double overlap_weight_;
  const uint32_t block_tokens_;
  const InflightLoads& loads_;
  const PrefixMatches& matches_;
  std::vector<uint64_t> blocks_;  // by endpoint, of the prompts in flight there
  BookingMap<Booking> bookings_;
};

MadePlugin make_dynamo_cost_scorer(std::string_view name, const Value& value,
                                   PluginContext& context) {
  constexpr int64_t kBlockTokensMost = 1 << 20;
  Parameters parameters(value, name);
  const double overlap_weight = parameters.number("overlapScoreWeight", 1, 0, 1e6);
  const auto block_tokens =
      static_cast<uint32_t>(parameters.integer("blockSize", 16, 1, kBlockTokensMost));
  if (const Result<void> read = parameters.finish(); !read) return read.error();
  const Result<InflightLoads*> loads = context.find<InflightLoads>("");
  if (!loads) return loads.error();
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>("");
  if (!matches) return matches.error();
  return make_plugin<DynamoCostScorer>(overlap_weight, block_tokens, context.endpoints(), **loads,
                                       **matches);
}

}  // namespace

PluginType dynamo_cost_scorer_plugin() {
  PluginType type{"dynamo-cost-scorer", make_dynamo_cost_scorer, Stability::kAlpha};
  type.places = kScorerPlace;
  return type;
}

}  // namespace kvasir

#include "plugins/scorer/dynamo_cost_scorer.h"

#include <algorithm>

#include "base/parameters.h"
#include "base/random.h"
#include "model/plugin_place.h"
#include "plugins/producer/booking_map.h"
#include "plugins/scorer/spread_score.h"

namespace kvasir {
namespace {

// The prompts in flight on each endpoint, in tokens; blocks that several of them share count once.
class ActivePrompts {
 public:
  explicit ActivePrompts(size_t endpoints) : tokens_(endpoints) {}

  // If the prompt were added.
  uint64_t tokens_with(EndpointId endpoint, const PromptView& prompt, uint32_t block_tokens,
                       uint32_t prompt_tokens) const {
    size_t shared = 0;
    while (shared < prompt.hashes.size() && uses_.find(key(endpoint, prompt.hashes[shared]))) {
      ++shared;
    }
    const uint64_t there = std::min<uint64_t>(shared * block_tokens, prompt_tokens);
    return tokens_[index_of(endpoint)] + prompt_tokens - there;
  }

  void add(RequestId request, EndpointId endpoint, const PromptView& prompt, uint32_t block_tokens,
           uint32_t prompt_tokens) {
    Booking booking{endpoint, block_tokens, prompt_tokens, {}};
    if (!spare_.empty()) {
      booking.keys = std::move(spare_.back());
      spare_.pop_back();
    }
    booking.keys.clear();
    for (const BlockHash hash : prompt.hashes) {
      if (booking.rest < block_tokens) break;
      booking.rest -= block_tokens;
      booking.keys.push_back(key(endpoint, hash));
      if (uint32_t* uses = uses_.find(booking.keys.back())) {
        ++*uses;
      } else {
        uses_.insert(booking.keys.back(), 1);
        tokens_[index_of(endpoint)] += block_tokens;
      }
    }
    tokens_[index_of(endpoint)] += booking.rest;
    bookings_.insert(request, std::move(booking));
  }

  // Does nothing for one that was not added.
  void remove(RequestId request) {
    Booking* booking = bookings_.find(request);
    if (booking == nullptr) return;
    uint64_t& tokens = tokens_[index_of(booking->endpoint)];
    tokens -= booking->rest;
    for (const uint64_t key : booking->keys) {
      if (--*uses_.find(key) > 0) continue;
      uses_.erase(key);
      tokens -= booking->block_tokens;
    }
    spare_.push_back(std::move(booking->keys));
    bookings_.erase(request);
  }

  // False: `other` has more endpoints, and nothing was taken.
  bool take_over(ActivePrompts& other) {
    if (other.tokens_.size() > tokens_.size()) return false;
    std::copy(other.tokens_.begin(), other.tokens_.end(), tokens_.begin());
    bookings_ = std::move(other.bookings_);
    uses_ = std::move(other.uses_);
    return true;
  }

 private:
  struct Booking {
    EndpointId endpoint{};
    uint32_t block_tokens = 0;
    uint32_t rest = 0;  // tokens behind its blocks
    std::vector<uint64_t> keys;
  };

  // Of a block on an endpoint; never 0.
  static uint64_t key(EndpointId endpoint, BlockHash hash) {
    return mix64(hash ^ mix64(index_of(endpoint))) | 1;
  }

  std::vector<uint64_t> tokens_;  // by endpoint
  BookingMap<Booking> bookings_;
  BookingMap<uint32_t> uses_;                 // by key(): prompts in flight that have the block
  std::vector<std::vector<uint64_t>> spare_;  // of bookings that are gone, for their memory
};

class DynamoCostScorer final : public Scorer {
 public:
  DynamoCostScorer(double overlap_weight, uint32_t block_tokens, size_t endpoints,
                   const InflightLoads& loads, const PrefixMatches& matches)
      : overlap_weight_(overlap_weight),
        block_tokens_(block_tokens),
        loads_(loads),
        matches_(matches),
        active_(endpoints) {}

  void score(const Cycle& cycle, std::span<const EndpointId> candidates,
             std::span<double> scores) const override {
    const std::span<const InflightLoad> loads = loads_.loads();
    const uint32_t prompt_tokens = cycle.request.prompt_tokens;
    const PrefixMatch& match = matches_.match();
    const PromptView prompt = cycle.request.view(match.block);
    score_by_spread(candidates, scores, [&](EndpointId id) {
      const uint32_t uncached = prompt_tokens - match.cached_tokens(cycle.request, id);
      const auto prefill = static_cast<double>(loads[index_of(id)].tokens + uncached);
      const auto active = static_cast<double>(
          active_.tokens_with(id, prompt, match.block_tokens, prompt_tokens));
      return (overlap_weight_ * prefill + active) / block_tokens_;
    });
  }

  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    const PrefixMatch& match = matches_.match();
    active_.add(cycle.request.id, profiles[0].chosen[0].endpoint, cycle.request.view(match.block),
                match.block_tokens, cycle.request.prompt_tokens);
  }
  bool watches_answers() const override { return true; }
  void ended(RequestId request, TimePoint) override { active_.remove(request); }

  bool inherit(Plugin& predecessor) override {
    auto* old = dynamic_cast<DynamoCostScorer*>(&predecessor);
    return old != nullptr && active_.take_over(old->active_);
  }

 private:
  const double overlap_weight_;
  const uint32_t block_tokens_;
  const InflightLoads& loads_;
  const PrefixMatches& matches_;
  ActivePrompts active_;
};

MadePlugin make_dynamo_cost_scorer(std::string_view name, const Value& value,
                                   PluginContext& context) {
  constexpr int64_t kBlockTokensMost = 1 << 20;
  Parameters parameters(value, name);
  const double overlap_weight = parameters.number("overlapScoreWeight", 1, 0, 1e6);
  const auto block_tokens =
      static_cast<uint32_t>(parameters.integer("blockSize", 16, 1, kBlockTokensMost));
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
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

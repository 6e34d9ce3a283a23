#include "scheduling/configured_policy.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "fleet/fleet.h"

namespace kvasir {

ConfiguredPolicy::ConfiguredPolicy(PolicyPlugins plugins) : plugins_(std::move(plugins)) {
  KVASIR_ASSERT(plugins_.handler != nullptr, "a profile handler decides what runs");
  KVASIR_ASSERT(!plugins_.profiles.empty(), "there is a profile to run");
  for (const ProfilePlugins& profile : plugins_.profiles) {
    profiles_.emplace_back(static_cast<int>(profiles_.size()), profile);
  }
  done_.reserve(profiles_.size());
  booked_.reserve(profiles_.size());
}

std::optional<Decision> ConfiguredPolicy::pick(const PickContext& context) {
  Cycle cycle{context.request, context.fleet, context.candidates, context.now};
  for (Producer* producer : plugins_.producers) producer->produce(cycle);
  run_profiles(cycle);
  const int primary = plugins_.handler->primary(cycle, done_);
  if (primary < 0 || done_[primary].chosen.empty()) return std::nullopt;
  const Decision decision = decide(cycle, done_[primary], plugins_.handler->prefill(cycle, done_));
  book(cycle, primary);
  return decision;
}

void ConfiguredPolicy::run_profiles(Cycle& cycle) {
  done_.clear();
  for (int next = plugins_.handler->next(cycle, done_); next >= 0;
       next = plugins_.handler->next(cycle, done_)) {
    KVASIR_ASSERT(done_.size() < profiles_.size(), "no profile runs twice");
    cycle.done = done_;
    done_.push_back(profiles_[next].run(cycle));
  }
  cycle.done = done_;
}

Decision ConfiguredPolicy::decide(const Cycle& cycle, const ProfileResult& primary,
                                  int prefill) const {
  Decision decision;
  decision.endpoint = primary.chosen[0].endpoint;
  decision.score = primary.chosen[0].score;
  const size_t fallbacks = std::min(primary.chosen.size() - 1, Decision::kFallbacksMax);
  for (size_t i = 0; i < fallbacks; ++i) {
    decision.fallbacks[i] = primary.chosen[i + 1].endpoint;
  }
  decision.fallback_count = static_cast<uint8_t>(fallbacks);
  if (prefill >= 0 && !done_[prefill].chosen.empty()) {
    decision.prefill = done_[prefill].chosen[0].endpoint;
  }
  if (plugins_.prefix_matches != nullptr) {
    decision.cached_tokens = plugins_.prefix_matches->cached_tokens(
        cycle.request, decision.prefill.value_or(decision.endpoint));
  }
  return decision;
}

void ConfiguredPolicy::book(const Cycle& cycle, int primary) {
  booked_.assign(1, done_[primary]);
  for (int i = 0; i < static_cast<int>(done_.size()); ++i) {
    if (i != primary && !done_[i].chosen.empty()) booked_.push_back(done_[i]);
  }
  for (const auto& plugin : plugins_.owned) plugin->picked(cycle, booked_);
}

void ConfiguredPolicy::first_token(RequestId request, TimePoint now) {
  for (const auto& plugin : plugins_.owned) plugin->first_token(request, now);
}

void ConfiguredPolicy::ended(RequestId request, TimePoint now) {
  for (const auto& plugin : plugins_.owned) plugin->ended(request, now);
}

void ConfiguredPolicy::endpoint_replaced(EndpointId endpoint) {
  for (const auto& plugin : plugins_.owned) plugin->endpoint_replaced(endpoint);
}

size_t ConfiguredPolicy::prompt_bytes_per_block() const {
  for (const Producer* producer : plugins_.producers) {
    if (const size_t bytes = producer->prompt_bytes_per_block(); bytes > 0) return bytes;
  }
  return 0;
}

}  // namespace kvasir

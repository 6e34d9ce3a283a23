// What precise-prefix-cache-producer says, for it and for precise-prefix-cache-scorer, which can
// have one of its own.
#pragma once

#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/checked.h"
#include "base/clock.h"
#include "base/value.h"
#include "plugins/producer/prefix_cache_guess.h"
#include "scheduling/producers.h"
#include "scheduling/registry.h"
#include "scheduling/wanted_knowledge.h"

namespace kvasir {

struct PreciseSettings {
  PrefixCacheGuessSettings guess = {};
  double gpu_weight = 1;
  double slower_weight = 0.8;
  std::optional<WantedCaches> caches = {};
  Duration expected_lifetime{};
};

// `old_scorer`: for precise-prefix-cache-scorer, which takes more. What has no effect is told to
// `context`.
Checked<PreciseSettings> read_precise_settings(std::string_view name, const Value& value,
                                               bool old_scorer, PluginContext& context);

// What precise-prefix-cache-scorer looks for.
class PrecisePrefixMatches : public PrefixMatches, public KnowledgeReader {
 public:
  static constexpr std::string_view kKind = "precise-prefix-matches";
};

class PrecisePrefixCacheProducer final : public PrecisePrefixMatches {
 public:
  PrecisePrefixCacheProducer(PreciseSettings settings, PluginContext& context)
      : settings_(std::move(settings)), guess_(settings_.guess, context) {
    guess_.set_weights(settings_.gpu_weight, settings_.slower_weight);
  }

  const PrefixMatch& match() const override { return guess_.match(); }
  void produce(const Cycle& cycle) override { guess_.produce(cycle); }
  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    guess_.picked(cycle, profiles);
  }
  void add_readings(std::vector<PluginReading>& readings) const override {
    guess_.add_readings(readings);
  }
  void endpoint_replaced(EndpointId endpoint) override { guess_.endpoint_replaced(endpoint); }

  void add_wanted(WantedKnowledge& wanted) const override {
    wanted.caches = settings_.caches;
    wanted.expected_lifetime = settings_.expected_lifetime;
  }

 private:
  const PreciseSettings settings_;
  PrefixCacheGuess guess_;
};

}  // namespace kvasir

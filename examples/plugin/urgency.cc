// A producer of a new kind and a scorer that reads it. Plugins from outside Kvasir's tree.
//
// urgency-producer: which requests are urgent: those whose header x-urgent is "true".
// urgency-scorer: urgent requests go where least waits; it says nothing of others.
// Formula: 1 / (1 + requests waiting in the engine); 1 when the engine does not report them.
// Parameters: urgencyProducerName (the only one there is).
//
//   - type: urgency-scorer
#include <limits>
#include <string>

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "scheduling/plugin_library.h"

namespace {

// The kind: what a producer offers and a scorer asks for. Both include it; here they are
// neighbours.
class Urgency : public kvasir::Producer {
 public:
  static constexpr std::string_view kKind = "urgency";
  static constexpr std::string_view kDefaultType = "urgency-producer";  // when none is configured

  virtual bool urgent() const = 0;  // the request in hand
};

class UrgencyProducer final : public Urgency {
 public:
  void produce(const kvasir::Cycle& cycle) override {
    const std::string_view* value = cycle.request.header("x-urgent");
    urgent_ = value != nullptr && *value == "true";
  }
  bool urgent() const override { return urgent_; }

 private:
  bool urgent_ = false;
};

class UrgencyScorer final : public kvasir::Scorer {
 public:
  explicit UrgencyScorer(const Urgency& urgency) : urgency_(urgency) {}

  void score(const kvasir::Cycle& cycle, std::span<const kvasir::EndpointId> candidates,
             std::span<double> scores) const override {
    const bool urgent = urgency_.urgent();
    for (size_t i = 0; i < candidates.size(); ++i) {
      const auto& metrics = cycle.fleet.endpoints[kvasir::index_of(candidates[i])].metrics;
      scores[i] = urgent ? 1 / (1 + metrics.waiting.value_or(0))
                         : std::numeric_limits<double>::quiet_NaN();  // abstains
    }
  }

 private:
  const Urgency& urgency_;
};

kvasir::MadePlugin make_producer(std::string_view name, const kvasir::Value& value,
                                 kvasir::PluginContext&) {
  kvasir::Parameters parameters(value, name);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return kvasir::make_plugin<UrgencyProducer>();
}

kvasir::MadePlugin make_scorer(std::string_view name, const kvasir::Value& value,
                               kvasir::PluginContext& context) {
  kvasir::Parameters parameters(value, name);
  const std::string producer = parameters.text("urgencyProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const kvasir::Result<Urgency*> urgency = context.find<Urgency>(producer);
  if (!urgency) return urgency.error();
  return kvasir::make_plugin<UrgencyScorer>(**urgency);
}

void add_types(kvasir::PluginEntry& entry) {
  kvasir::PluginType producer{"urgency-producer", make_producer};
  producer.places = kvasir::kProducerPlace;
  producer.offers = {Urgency::kKind};
  entry.add(std::move(producer));
  kvasir::PluginType scorer{"urgency-scorer", make_scorer};
  scorer.places = kvasir::kScorerPlace;
  entry.add(std::move(scorer));
}

}  // namespace

KVASIR_PLUGIN_LIBRARY(add_types)

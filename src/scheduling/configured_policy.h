// A Policy made of plugins, as an EndpointPickerConfig puts them together:
//
//   producers.produce -> admitters.admits -> handler.next -> profile (filters, scorers, picker) ->
//   ... -> handler.primary -> picked()
//
// The picker's further endpoints are the decision's fallbacks. picked() of every plugin runs before
// pick() returns, so the next request sees this one booked.
#pragma once

#include <memory>
#include <vector>

#include "scheduling/decision_trace.h"
#include "scheduling/flow_plugins.h"
#include "scheduling/pick_generations.h"
#include "scheduling/plugin.h"
#include "scheduling/policy.h"
#include "scheduling/pool_knowledge.h"
#include "scheduling/producers.h"
#include "scheduling/profile.h"

namespace kvasir {

struct PolicyPlugins {
  std::vector<std::unique_ptr<SharedPrefixIndex>> indexes;  // that plugins below point to
  std::vector<std::unique_ptr<Plugin>> owned;  // all of them, in the order their hooks run
  std::vector<Producer*> producers;            // in the order they run
  const ProfileHandler* handler = nullptr;
  std::vector<ProfilePlugins> profiles;
  std::vector<Admitter*> admitters;
  BlockSizes prompt_views;                        // that plugins read
  WorkPredictor* predictor = nullptr;             // null: nothing is predicted
  const PrefixMatches* prefix_matches = nullptr;  // says how much is cached; null: nobody does
  const SaturationDetector* detector = nullptr;   // null: never saturated
  bool heeds_prefer = true;                       // see SchedulingConfig
  std::shared_ptr<const PolicyLabels> labels;     // never null
  std::vector<uint16_t> owned_labels;             // of `owned`
};

class ConfiguredPolicy final : public Policy {
 public:
  // Precondition: a handler, and a profile at least.
  explicit ConfiguredPolicy(PolicyPlugins plugins);

  std::optional<Decision> pick(const PickContext& context) override;
  Refusal refusal() const override { return refusal_; }
  // By stage: an endpoint's label llm-d.ai/role says which it serves; without the label it decodes.
  PoolSaturation saturation(const PoolContext& context) override;
  // By the same label, when there is a profile for each role.
  bool may_answer(const Endpoint& endpoint) const override;
  Duration predicted_prefill(const PickContext& context) override;
  void first_token(RequestId request, TimePoint now) override;
  void prefill_ended(RequestId request, TimePoint now) override;
  void ended(RequestId request, TimePoint now) override;
  void endpoint_replaced(EndpointId endpoint) override;
  BlockSizes prompt_views() const override { return plugins_.prompt_views; }
  std::vector<SharedPrefixIndex*> prefix_indexes() override;
  bool watches_answers() const override;
  void add_answer_fields(const AnswerOrigin& origin, AnswerFields& fields) const override;
  std::vector<PluginReading> readings() const override;
  std::vector<RemoteSource> remote_sources() const override;
  WantedKnowledge wanted_knowledge() const override;
  // Plugins of the same name and type hand their state over. Only a ConfiguredPolicy has heirs: the
  // requests in flight of another policy would be unknown here.
  void inherit(Policy& predecessor) override;
  // Plugins of the same name, whatever their type, share with each other.
  SharedState export_shared(const SharedExport& wanted, TimePoint now) override;
  void import_shared(const SharedState& state, const Snapshot& fleet, TimePoint now) override;

 private:
  void run_profiles(Cycle& cycle);
  Decision decide(const Cycle& cycle, const ProfileResult& primary, int prefill) const;
  void book(const Cycle& cycle, int primary);
  const std::string& name_of(size_t owned) const {
    return plugins_.labels->plugins[plugins_.owned_labels[owned]].name;
  }

  const PolicyPlugins plugins_;
  std::vector<Profile> profiles_;
  std::vector<ProfileResult> done_;     // of the current pick
  Refusal refusal_ = Refusal::kNone;    // of the last pick
  std::vector<EndpointId> prefilling_;  // scratch of saturation()
  std::vector<EndpointId> decoding_;
  std::vector<ProfileResult> booked_;  // the same, the primary first
  PickGenerations generations_;
  // Of plugins_.owned: the oldest generation whose requests it knows.
  std::vector<uint64_t> known_since_;
};

}  // namespace kvasir

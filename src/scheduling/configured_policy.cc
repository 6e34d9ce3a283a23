#include "scheduling/configured_policy.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "fleet/fleet.h"

namespace kvasir {
namespace {

constexpr const char* kRoleLabel = "llm-d.ai/role";

// "prefill-decode" and "encode-prefill" name their stages; "both" is the old word for the first.
bool serves(const Endpoint& endpoint, std::string_view stage) {
  const std::string* role = endpoint.label(kRoleLabel);
  if (role == nullptr) return stage == "decode";
  return *role == "both" || role->find(stage) != std::string::npos;
}

// Upstream's conditional decode: "Prefer: if-available" (RFC 7240).
bool wants_a_cached_prompt(const Request& request) {
  const std::string_view* prefer = request.header("prefer");
  return prefer != nullptr && prefer->find("if-available") != std::string_view::npos;
}

Cycle cycle_of(const PickContext& context) {
  return Cycle{context.request, context.fleet,   context.candidates, context.now,  {},
               context.trace,   context.avoided, context.widened,    context.tried};
}

}  // namespace

ConfiguredPolicy::ConfiguredPolicy(PolicyPlugins plugins) : plugins_(std::move(plugins)) {
  KVASIR_ASSERT(plugins_.handler != nullptr, "a profile handler decides what runs");
  KVASIR_ASSERT(!plugins_.profiles.empty(), "there is a profile to run");
  for (const ProfilePlugins& profile : plugins_.profiles) {
    profiles_.emplace_back(static_cast<int>(profiles_.size()), profile);
  }
  known_since_.assign(plugins_.owned.size(), generations_.current());
  done_.reserve(profiles_.size());
  booked_.reserve(profiles_.size());
}

std::optional<Decision> ConfiguredPolicy::pick(const PickContext& context) {
  Cycle cycle = cycle_of(context);
  if (cycle.trace != nullptr) cycle.trace->set_labels(plugins_.labels);
  for (Producer* producer : plugins_.producers) producer->produce(cycle);
  if (context.widened) {
    std::erase_if(done_, [](const ProfileResult& result) { return result.chosen.empty(); });
  } else {
    done_.clear();
    const auto admits = [&](Admitter* admitter) { return admitter->admits(cycle); };
    refusal_ = Refusal::kNotAdmitted;
    if (!std::all_of(plugins_.admitters.begin(), plugins_.admitters.end(), admits)) {
      return std::nullopt;
    }
  }
  refusal_ = Refusal::kFiltered;
  run_profiles(cycle);
  const int primary = plugins_.handler->primary(cycle, done_);
  if (primary < 0 || done_[primary].chosen.empty()) return std::nullopt;
  if (cycle.trace != nullptr) cycle.trace->set_totals(done_[primary].scored);
  const Decision decision = decide(cycle, done_[primary], plugins_.handler->prefill(cycle, done_));
  const bool asks_first = context.request.part == RequestPart::kWhole && plugins_.heeds_prefer;
  if (decision.cached_tokens == 0 && asks_first && wants_a_cached_prompt(context.request)) {
    refusal_ = Refusal::kNotCached;
    return std::nullopt;
  }
  book(cycle, primary);
  return decision;
}

void ConfiguredPolicy::run_profiles(Cycle& cycle) {
  for (int next = plugins_.handler->next(cycle, done_); next >= 0;
       next = plugins_.handler->next(cycle, done_)) {
    KVASIR_ASSERT(done_.size() < profiles_.size(), "no profile runs twice");
    cycle.done = done_;
    cycle.profile = next;
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
  const EndpointId prefills = decision.prefill.value_or(decision.endpoint);
  if (const CachedPrefix* known = cycle.request.known_prefix(prefills)) {
    decision.cached_tokens = known->usable_tokens(cycle.request.prompt_tokens);
    decision.cached_exactly = true;
  } else if (plugins_.prefix_matches != nullptr) {
    decision.cached_tokens =
        plugins_.prefix_matches->match().cached_tokens(cycle.request, prefills);
  }
  if (plugins_.predictor != nullptr) plugins_.predictor->predict(decision);
  return decision;
}

void ConfiguredPolicy::book(const Cycle& cycle, int primary) {
  booked_.assign(1, done_[primary]);
  for (int i = 0; i < static_cast<int>(done_.size()); ++i) {
    if (i != primary && !done_[i].chosen.empty()) booked_.push_back(done_[i]);
  }
  for (const auto& plugin : plugins_.owned) plugin->picked(cycle, booked_);
  generations_.picked(cycle.request.id);
}

PoolSaturation ConfiguredPolicy::saturation(const PoolContext& context) {
  PoolSaturation result;
  if (plugins_.detector == nullptr) return result;
  if (auto whole = plugins_.detector->pool_saturation(context.endpoints, context.now)) return *whole;
  prefilling_.clear();
  decoding_.clear();
  for (const EndpointId id : context.endpoints) {
    const Endpoint& endpoint = *context.fleet.endpoints[index_of(id)].endpoint;
    if (serves(endpoint, "prefill")) prefilling_.push_back(id);
    if (serves(endpoint, "decode")) decoding_.push_back(id);
  }
  const auto stage = [&](const std::vector<EndpointId>& endpoints) {
    return endpoints.empty() ? 0
                             : plugins_.detector->saturation(context.fleet, endpoints, context.now);
  };
  result.prefill = stage(prefilling_);
  result.decode = stage(decoding_);
  result.stale_endpoints =
      plugins_.detector->stale_endpoints(context.fleet, context.endpoints, context.now);
  return result;
}

bool ConfiguredPolicy::may_answer(const Endpoint& endpoint) const {
  return profiles_.size() < 2 || serves(endpoint, "decode");
}

Duration ConfiguredPolicy::predicted_prefill(const PickContext& context) {
  if (plugins_.predictor == nullptr) return Duration::zero();
  const Cycle cycle = cycle_of(context);
  for (Producer* producer : plugins_.producers) producer->produce(cycle);
  return plugins_.predictor->predicted_prefill(cycle);
}

void ConfiguredPolicy::first_token(RequestId request, TimePoint now) {
  const uint64_t generation = generations_.of(request);
  for (size_t i = 0; i < plugins_.owned.size(); ++i) {
    if (generation >= known_since_[i]) plugins_.owned[i]->first_token(request, now);
  }
}

void ConfiguredPolicy::prefill_ended(RequestId request, TimePoint now) {
  const uint64_t generation = generations_.of(request);
  for (size_t i = 0; i < plugins_.owned.size(); ++i) {
    if (generation >= known_since_[i]) plugins_.owned[i]->prefill_ended(request, now);
  }
}

void ConfiguredPolicy::ended(RequestId request, TimePoint now) {
  const uint64_t generation = generations_.of(request);
  for (size_t i = 0; i < plugins_.owned.size(); ++i) {
    if (generation >= known_since_[i]) plugins_.owned[i]->ended(request, now);
  }
  generations_.ended(request);
}

std::vector<SharedPrefixIndex*> ConfiguredPolicy::prefix_indexes() {
  std::vector<SharedPrefixIndex*> indexes;
  for (const auto& index : plugins_.indexes) indexes.push_back(index.get());
  return indexes;
}

bool ConfiguredPolicy::watches_answers() const {
  return std::any_of(plugins_.owned.begin(), plugins_.owned.end(),
                     [](const auto& plugin) { return plugin->watches_answers(); });
}

void ConfiguredPolicy::add_answer_fields(const AnswerOrigin& origin, AnswerFields& fields) const {
  for (const auto& plugin : plugins_.owned) plugin->add_answer_fields(origin, fields);
}

std::vector<PluginReading> ConfiguredPolicy::readings() const {
  std::vector<PluginReading> readings;
  for (size_t i = 0; i < plugins_.owned.size(); ++i) {
    const size_t before = readings.size();
    plugins_.owned[i]->add_readings(readings);
    const PluginLabel& label = plugins_.labels->plugins[plugins_.owned_labels[i]];
    for (size_t k = before; k < readings.size(); ++k) {
      readings[k].plugin_name = label.name;
      readings[k].plugin_type = label.type;
    }
  }
  return readings;
}

std::vector<RemoteSource> ConfiguredPolicy::remote_sources() const {
  std::vector<RemoteSource> sources;
  for (const auto& plugin : plugins_.owned) {
    const auto* reader = dynamic_cast<const RemoteScoreReader*>(plugin.get());
    if (reader != nullptr) sources.push_back(reader->remote_source());
  }
  return sources;
}

WantedKnowledge ConfiguredPolicy::wanted_knowledge() const {
  WantedKnowledge wanted;
  for (const auto& plugin : plugins_.owned) {
    const auto* reader = dynamic_cast<const KnowledgeReader*>(plugin.get());
    if (reader != nullptr) reader->add_wanted(wanted);
  }
  return wanted;
}

void ConfiguredPolicy::inherit(Policy& predecessor) {
  auto* other = dynamic_cast<ConfiguredPolicy*>(&predecessor);
  if (other == nullptr) return;
  generations_.follow(other->generations_);
  known_since_.assign(plugins_.owned.size(), generations_.current());
  for (size_t i = 0; i < plugins_.owned.size(); ++i) {
    const PluginLabel& label = plugins_.labels->plugins[plugins_.owned_labels[i]];
    for (size_t k = 0; k < other->plugins_.owned.size(); ++k) {
      const PluginLabel& old = other->plugins_.labels->plugins[other->plugins_.owned_labels[k]];
      if (old.name != label.name || old.type != label.type) continue;
      if (plugins_.owned[i]->inherit(*other->plugins_.owned[k])) {
        known_since_[i] = other->known_since_[k];
      }
    }
  }
}

void ConfiguredPolicy::endpoint_replaced(EndpointId endpoint) {
  for (const auto& plugin : plugins_.owned) plugin->endpoint_replaced(endpoint);
}

SharedState ConfiguredPolicy::export_shared(const SharedExport& wanted, TimePoint now) {
  SharedState state;
  for (size_t i = 0; i < plugins_.owned.size(); ++i) {
    SharedPart part;
    plugins_.owned[i]->export_shared(wanted, now, part);
    if (part.loads.empty() && part.bindings.empty() && part.went_round) continue;
    part.plugin = name_of(i);
    state.push_back(std::move(part));
  }
  return state;
}

void ConfiguredPolicy::import_shared(const SharedState& state, const Snapshot& fleet,
                                     TimePoint now) {
  const SharedPart nothing;
  for (size_t i = 0; i < plugins_.owned.size(); ++i) {
    const auto part = std::find_if(state.begin(), state.end(), [&](const SharedPart& candidate) {
      return candidate.plugin == name_of(i);
    });
    plugins_.owned[i]->import_shared(part == state.end() ? nothing : *part, fleet, now);
  }
}

}  // namespace kvasir

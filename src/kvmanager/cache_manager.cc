#include "kvmanager/cache_manager.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include "base/random.h"
#include "hashing/token_blocks.h"
#include "kvevents/event_address.h"

namespace kvasir {
namespace {

constexpr size_t kIdsForEachPod = 4;
// Which of the reasons it is, say_why() says.
constexpr std::string_view kNothingExact = "nothing exact is known of it";

std::string_view why_no_tokens(const ScoreQuery& query, bool has_tokenizer) {
  if (query.prompt && has_tokenizer) {
    return "the prompt's text cannot be tokenized: send token_ids";
  }
  if (query.prompt) {
    return "no tokenizer for the prompt's text: send token_ids, or start the manager with "
           "--tokenizer FILE";
  }
  if (query.conversation) return "a conversation cannot be tokenized here: send token_ids";
  if (query.other_prompt) {
    return "the prompt is neither a text nor one list of token ids: send token_ids";
  }
  return "no tokens and no blocks in the question";
}

// `events`: some came. `connected`: its connection is there; nullopt: nobody sees that.
std::string_view why_nothing_exact(std::optional<KvFreshness> freshness, bool events, bool recalled,
                                   std::optional<bool> connected) {
  const bool is_away = !connected.value_or(true);
  switch (freshness.value_or(KvFreshness::kNothingYet)) {
    case KvFreshness::kNothingYet:
      return is_away ? "nothing exact is known of it: its engine is not reached"
                     : "nothing exact is known of it: no event of it came yet";
    case KvFreshness::kUnusable:
      return "nothing exact is known of it: none of its engine's events can be used";
    case KvFreshness::kStale:
      if (!events && recalled) {
        return "nothing exact is known of it: it is known from before, and of its engine nothing "
               "was heard since";
      }
      return is_away ? "nothing exact is known of it: the connection to its engine is lost"
                     : "nothing exact is known of it: events were lost, and not made up for";
    case KvFreshness::kIncomplete:
    case KvFreshness::kExact:
      break;
  }
  return "nothing exact is known of it: no engine has said how large its blocks are";
}

double seconds_since_1970() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

double share_of(uint64_t part, uint64_t whole) {
  return static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

std::string_view freshness_text(KvFreshness freshness) {
  switch (freshness) {
    case KvFreshness::kNothingYet:
      return "nothing yet";
    case KvFreshness::kUnusable:
      return "unusable";
    case KvFreshness::kIncomplete:
      return "incomplete";
    case KvFreshness::kExact:
      return "exact";
    case KvFreshness::kStale:
      break;
  }
  return "stale";
}

CacheManager::CacheManager(const CacheManagerOptions& options, const Clock& clock,
                           CacheManagerProbe& probe, std::unique_ptr<CacheTracker> tracker)
    : options_(options),
      clock_(clock),
      probe_(probe),
      tracker_(std::move(tracker)),
      pods_(options.tracker.endpoints_max / kIdsForEachPod, options.tracker.endpoints_max,
            [this](const KnownPod& pod, TimePoint now) { return may_go(pod, now); }),
      named_(options.named_blocks_max) {}

// --- Scores --------------------------------------------------------------------------------------

// A pod that nobody has heard of has an id that nothing is known of.
std::vector<KnownPod> CacheManager::asked_pods(const ScoreQuery& query) const {
  if (!query.pods) return pods_.all();
  std::vector<KnownPod> pods;
  for (const std::string& name : *query.pods) {
    const std::optional<EndpointId> id = pods_.find(name);
    const std::optional<KnownPod> known = id ? pods_.pod(*id) : std::nullopt;
    pods.push_back(known.value_or(KnownPod{EndpointId{UINT32_MAX}, name, false, false, false, {}}));
  }
  return pods;
}

bool CacheManager::names_adapter(std::string_view model) const {
  return tracker_->root(model, {}) != token_root({}, {});
}

ScoreReport CacheManager::score(const ScoreQuery& query) {
  const std::vector<KnownPod> pods = asked_pods(query);
  const bool for_adapter = query.model == query.lora || names_adapter(query.model);
  ScoreReport report;
  for (const KnownPod& pod : pods) {
    PodScoreReport& one = report.pods.emplace_back();
    one.pod = pod.name;
    if (index_of(pod.id) == UINT32_MAX) {
      one.reason = "unknown pod";
    } else if (!for_adapter && publishers_.serve_another(pod.id, query.model)) {
      one.reason = "its engine serves another model";
    }
  }
  if (!query.blocks.empty()) {
    for (size_t i = 0; i < pods.size(); ++i) {
      if (report.pods[i].reason.empty()) score_by_names(query, pods[i], report.pods[i]);
    }
  } else if (query.token_ids) {
    score_by_tokens(query, *query.token_ids, pods, report);
  } else {
    std::vector<uint32_t> tokens;
    const bool known = query.prompt && tokenize_ && tokenize_(*query.prompt, tokens);
    if (known) {
      score_by_tokens(query, tokens, pods, report);
    } else {
      const std::string_view why = why_no_tokens(query, tokenize_ != nullptr);
      for (PodScoreReport& one : report.pods) {
        if (one.reason.empty()) one.reason = why;
      }
    }
  }
  say_why(pods, report);
  measure(query, pods, report);
  return report;
}

void CacheManager::say_why(const std::vector<KnownPod>& pods, ScoreReport& report) const {
  struct Ranks {
    FreshnessOfRanks freshness;
    bool events = false;
  };
  std::map<EndpointId, Ranks> ranks;
  const auto is_vague = [](const PodScoreReport& pod) { return pod.reason == kNothingExact; };
  if (std::none_of(report.pods.begin(), report.pods.end(), is_vague)) return;
  for (const KvSourceStatistics& source : tracker_->statistics().sources) {
    Ranks& of = ranks[source.endpoint];
    of.freshness.add(source.freshness);
    of.events |= source.batches > 0;
  }
  for (size_t i = 0; i < pods.size(); ++i) {
    if (!is_vague(report.pods[i])) continue;
    const Ranks& of = ranks[pods[i].id];
    report.pods[i].reason = why_nothing_exact(of.freshness.of_all(), of.events, pods[i].recalled,
                                              publishers_.connected(pods[i].id));
  }
}

void CacheManager::score_by_names(const ScoreQuery& query, const KnownPod& pod,
                                  PodScoreReport& report) const {
  std::vector<uint64_t> names;
  for (const ScoreQuery::Block& block : query.blocks) names.push_back(block.name);
  const std::optional<CacheTracker::NamedBlocks> tracked = tracker_->find_named(pod.id, names);
  const bool announces_names = named_.counts(pod.id).has_value();
  if (!tracked && !announces_names) {
    report.reason = kNothingExact;
    return;
  }
  NamedBlockSets::Found found = named_.find(pod.id, names);
  if (tracked && tracked->leading >= found.leading && tracked->present >= found.present) {
    found = {tracked->leading, tracked->present};
  }
  report.blocks_present = found.leading;
  report.blocks_total = names.size();
  report.hit_rate = share_of(found.leading, names.size());
  report.set_rate = share_of(found.present, names.size());
}

void CacheManager::score_by_tokens(const ScoreQuery& query, const std::vector<uint32_t>& tokens,
                                   const std::vector<KnownPod>& pods, ScoreReport& report) const {
  const BlockHash root = query.lora.empty() ? tracker_->root(query.model, query.cache_salt)
                                            : token_root(query.lora, query.cache_salt);
  const std::vector<uint32_t> sizes = tracker_->block_sizes();
  std::vector<TokenChain> chains;
  std::vector<ChainOfSize> prompt;
  chains.reserve(sizes.size());
  for (const uint32_t size : sizes) {
    chains.emplace_back(tokens, root, size);
    prompt.push_back({size, &chains.back()});
  }
  std::vector<EndpointId> ids;
  for (const KnownPod& pod : pods) {
    if (index_of(pod.id) != UINT32_MAX) ids.push_back(pod.id);
  }
  std::vector<CachedPrefix> cached(options_.tracker.endpoints_max);
  tracker_->match(prompt, ids, cached);
  for (size_t i = 0; i < pods.size(); ++i) {
    PodScoreReport& one = report.pods[i];
    if (!one.reason.empty()) continue;
    const CachedPrefix& has = cached[index_of(pods[i].id)];
    // One that has nothing may not have said how large its blocks are: as those of the others.
    uint32_t size = tracker_->block_tokens_of(pods[i].id);
    if (size == 0 && !sizes.empty()) size = sizes.front();
    if (!has.known || size == 0) {
      one.reason =
          named_.counts(pods[i].id) ? "it announces blocks without their tokens" : kNothingExact;
      continue;
    }
    one.blocks_total = tokens.size() / size;
    one.blocks_present = has.tokens / size;
    if (*one.blocks_total == 0) {
      one.reason = "the prompt is shorter than a block";
      continue;
    }
    one.hit_rate = share_of(*one.blocks_present, *one.blocks_total);
    one.gpu_rate = share_of(has.gpu_tokens / size, *one.blocks_total);
  }
}

void CacheManager::measure(const ScoreQuery& query, const std::vector<KnownPod>& pods,
                           ScoreReport& report) {
  std::optional<double> best;
  for (size_t i = 0; i < pods.size(); ++i) {
    PodScoreReport& one = report.pods[i];
    one.bytes = bytes_of(pods[i].id, tracker_->blocks_of(pods[i].id));
    if (!one.hit_rate) continue;
    hit_rates_.had(pods[i].id, *one.hit_rate);
    if (best && *one.hit_rate <= *best) continue;
    best = one.hit_rate;
    if (*best > 0) report.best = i;
  }
  if (best) hit_rates_.best_had(*best);
  const double now = seconds_since_1970();
  for (size_t i = 0; i < std::min(query.blocks.size(), options_.counted_blocks_max); ++i) {
    asked_.ask(query.blocks[i].text, query.blocks[i].name, now);
  }
}

std::optional<uint64_t> CacheManager::bytes_of(EndpointId pod, uint64_t blocks) const {
  const std::optional<NamedBlockSets::PodCounts> named = named_.counts(pod);
  if (named && named->bytes) return named->bytes;
  if (!options_.block_bytes) return std::nullopt;
  return *options_.block_bytes * (blocks + (named ? named->blocks : 0));
}

MatchAnswer CacheManager::match(const MatchQuestion& question) const {
  std::vector<BlockHash> hashes;
  hashes.reserve(question.contents.size());
  BlockHash parent = tracker_->root(question.model, question.cache_salt);
  for (const uint64_t content : question.contents) {
    hashes.push_back(parent = chain_block(parent, content));
  }
  KnownChain chain(hashes);
  const ChainOfSize prompt[] = {{question.block_tokens, &chain}};
  std::vector<KnownPod> pods;
  if (question.pods.empty()) {
    pods = pods_.all();
  } else {
    ScoreQuery named;
    named.pods = question.pods;
    pods = asked_pods(named);
  }
  std::vector<EndpointId> ids;
  for (const KnownPod& pod : pods) {
    if (index_of(pod.id) != UINT32_MAX) ids.push_back(pod.id);
  }
  std::vector<CachedPrefix> cached(options_.tracker.endpoints_max);
  tracker_->match(prompt, ids, cached);
  const bool for_adapter = names_adapter(question.model);
  MatchAnswer answer;
  for (const KnownPod& pod : pods) {
    const bool is_known = index_of(pod.id) != UINT32_MAX &&
                          (for_adapter || !publishers_.serve_another(pod.id, question.model));
    const CachedPrefix has = is_known ? cached[index_of(pod.id)] : CachedPrefix{};
    answer.pods.push_back({pod.name, has.known, has.tokens, has.gpu_tokens});
  }
  return answer;
}

// --- The state -----------------------------------------------------------------------------------

void FreshnessOfRanks::add(KvFreshness rank) {
  switch (rank) {
    case KvFreshness::kExact:
      exact_ = true;
      break;
    case KvFreshness::kIncomplete:
      incomplete_ = true;
      break;
    case KvFreshness::kStale:
      stale_ = true;
      break;
    case KvFreshness::kUnusable:
      unusable_ = true;
      break;
    case KvFreshness::kNothingYet:
      nothing_ = true;
  }
}

std::optional<KvFreshness> FreshnessOfRanks::of_all() const {
  if (stale_) return KvFreshness::kStale;
  if (incomplete_ || (exact_ && (nothing_ || unusable_))) return KvFreshness::kIncomplete;
  if (exact_) return KvFreshness::kExact;
  if (unusable_) return KvFreshness::kUnusable;
  return nothing_ ? std::optional(KvFreshness::kNothingYet) : std::nullopt;
}

PodState CacheManager::state_of(const KnownPod& pod,
                                const CacheTrackerStatistics& statistics) const {
  PodState state;
  state.known = pod;
  FreshnessOfRanks freshness;
  for (const KvSourceStatistics& source : statistics.sources) {
    if (source.endpoint != pod.id) continue;
    ++state.ranks;
    state.blocks += source.blocks;
    state.removed += source.removed;
    if (source.block_tokens > 0) state.block_tokens = source.block_tokens;
    if (source.batches > 0 || pod.listed || pod.recalled) freshness.add(source.freshness);
  }
  state.freshness = freshness.of_all();
  if (const auto named = named_.counts(pod.id)) {
    state.blocks += named->blocks;
    state.removed += named->removed;
    if (!state.block_tokens && named->block_tokens > 0) state.block_tokens = named->block_tokens;
    if (state.freshness == KvFreshness::kNothingYet) state.freshness.reset();
  }
  state.bytes = bytes_of(pod.id, tracker_->blocks_of(pod.id));
  const bool blocks_known = state.freshness ? *state.freshness != KvFreshness::kNothingYet &&
                                                  *state.freshness != KvFreshness::kUnusable
                                            : pod.heard;
  if (blocks_known && options_.pod_blocks && *options_.pod_blocks > 0) {
    const uint64_t room = *options_.pod_blocks * std::max(state.ranks, 1u);
    state.utilization = share_of(state.blocks, room);
  }
  state.hit_rate = hit_rates_.of(pod.id);
  state.eviction_rate = evictions_.of(pod.id);
  if (pod.heard) state.silent_s = to_seconds(clock_.now() - pod.heard_at);
  state.connected = publishers_.connected(pod.id);
  return state;
}

FleetState CacheManager::state() const {
  FleetState fleet;
  fleet.tracker = tracker_->statistics();
  double utilization = 0;
  size_t utilized = 0;
  for (const KnownPod& pod : pods_.all()) {
    PodState state = state_of(pod, fleet.tracker);
    fleet.blocks += state.blocks;
    if (state.bytes) fleet.bytes = fleet.bytes.value_or(0) + *state.bytes;
    if (state.utilization) {
      utilization += *state.utilization;
      ++utilized;
    }
    if (state.silent_s) {
      fleet.last_event_s = std::min(fleet.last_event_s.value_or(*state.silent_s), *state.silent_s);
    }
    fleet.pods.push_back(std::move(state));
  }
  fleet.unique_blocks = fleet.tracker.distinct_blocks + named_.distinct();
  if (utilized > 0) fleet.utilization = utilization / static_cast<double>(utilized);
  fleet.hit_rate = hit_rates_.of_best();
  fleet.events = {counts_.created,  counts_.evicted, counts_.updated,      counts_.cleared,
                  counts_.messages, counts_.bad,     counts_.unplaced_json};
  fleet.events.created += fleet.tracker.stored;
  fleet.events.evicted += fleet.tracker.removed;
  fleet.events.cleared += fleet.tracker.cleared;
  return fleet;
}

std::optional<PodState> CacheManager::pod_state(std::string_view name) const {
  const std::optional<EndpointId> id = pods_.find(name);
  const std::optional<KnownPod> pod = id ? pods_.pod(*id) : std::nullopt;
  if (!pod) return std::nullopt;
  return state_of(*pod, tracker_->statistics());
}

std::vector<CacheManager::TopBlock> CacheManager::top_blocks(EndpointId pod) const {
  std::vector<TopBlock> top;
  for (const AskedBlocks::Asked* asked : asked_.by_count()) {
    if (top.size() == options_.top_blocks) break;
    const uint64_t name[] = {asked->name};
    const auto tracked = tracker_->find_named(pod, name);
    if (named_.find(pod, name).present == 0 && !(tracked && tracked->present > 0)) continue;
    top.push_back({asked->text, asked->count, asked->last});
  }
  return top;
}

KvDigests CacheManager::digests() const {
  class Summing final : public CacheTracker::Visitor {
   public:
    explicit Summing(size_t endpoints) : pods(endpoints) {}
    void on_source(const KvSourceStatistics& source,
                   const std::optional<KvStreamPosition>&) override {
      pods[index_of(source.endpoint)].stamp += source.last_event.value_or(0);
    }
    void on_block(const CacheTracker::HolderName& holder,
                  const BlockIndex::KnownBlock& block) override {
      const uint64_t place = (static_cast<uint64_t>(holder.rank) << 32) | (holder.group << 8) |
                             static_cast<uint64_t>(block.tier);
      KvDigest& pod = pods[index_of(holder.endpoint)];
      pod.digest += mix64(block.hash ^ mix64(place));
      ++pod.blocks;
    }
    std::vector<KvDigest> pods;
  };
  Summing summing(options_.tracker.endpoints_max);
  tracker_->visit(summing);
  KvDigests digests;
  for (const KnownPod& pod : pods_.all()) {
    KvDigest digest = summing.pods[index_of(pod.id)];
    named_.each(pod.id, [&digest](uint64_t name) {
      digest.digest += mix64(~name);
      ++digest.blocks;
    });
    if (const auto named = named_.counts(pod.id)) digest.stamp += named->last_event;
    digests.emplace(pod.name, digest);
  }
  return digests;
}

KvSnapshot CacheManager::snapshot() const {
  CacheTracker::Snapshot known = tracker_->snapshot();
  KvSnapshot snapshot;
  snapshot.adapters = tracker_->adapters();
  std::map<KvSourceId, uint32_t> places;
  for (const CacheTracker::Snapshot::Source& source : known.sources) {
    places[source.source] = static_cast<uint32_t>(snapshot.sources.size());
    snapshot.sources.push_back({pods_.name_of(source.endpoint), source.rank, source.position});
  }
  for (const CacheTracker::HolderName& holder : known.holders) {
    snapshot.holders.push_back({places.at(holder.source), holder.group, holder.block_tokens});
  }
  snapshot.blocks = std::move(known.blocks);
  return snapshot;
}

Result<size_t> CacheManager::load(const KvSnapshot& snapshot) {
  const TimePoint now = clock_.now();
  for (const std::string& adapter : snapshot.adapters) tracker_->learn_adapter(adapter);
  std::vector<std::optional<KvSourceId>> sources(snapshot.sources.size());
  for (size_t i = 0; i < sources.size(); ++i) {
    const KvSnapshot::Source& source = snapshot.sources[i];
    if (!source.position) continue;
    const std::optional<EndpointId> pod = see(source.pod, now);
    if (!pod) continue;
    sources[i] = tracker_->add_source(*pod, source.rank, source.pod);
    if (!sources[i]) continue;
    pods_.recall(*pod);
    tracker_->set_freshness(*sources[i], KvFreshness::kStale);
    tracker_->set_position(*sources[i], source.position);
    loaded_[{*pod, source.rank}] = *sources[i];
  }
  std::vector<CacheTracker::RestoredHolder> holders;
  for (const KvSnapshot::Holder& holder : snapshot.holders) {
    holders.push_back({sources[holder.source], holder.group, holder.block_tokens});
  }
  const Result<RestoredSnapshot> restored = tracker_->restore(snapshot.blocks, holders);
  if (!restored) return restored.error();
  return restored->blocks;
}

std::optional<Result<CacheManager::TakenOver>> CacheManager::take_over(KvSnapshot snapshot,
                                                                       HeldMessages& held,
                                                                       bool last) {
  std::map<std::pair<std::string, uint32_t>, HeldMessages::Publisher*> publishers;
  for (auto& [name, publisher] : held.publishers()) {
    publishers[{std::string(read_event_topic(name.topic).name), name.rank}] = &publisher;
  }
  TakenOver taken;
  std::vector<std::pair<HeldMessages::Publisher*, uint64_t>> begins;
  for (KvSnapshot::Source& source : snapshot.sources) {
    if (!source.position) continue;
    const auto found = publishers.find({source.pod, source.rank});
    if (found != publishers.end() && found->second->goes_on_after(*source.position)) {
      begins.emplace_back(found->second, source.position->number);
      continue;
    }
    if (!last) return std::nullopt;
    ++taken.left_out;
    source.position.reset();
  }
  const Result<size_t> blocks = load(snapshot);
  if (!blocks) return blocks.error();
  for (const auto& [publisher, number] : begins) publisher->begin_with(number);
  taken.publishers = begins.size();
  taken.blocks = *blocks;
  return taken;
}

void CacheManager::forget_unclaimed() {
  std::set<EndpointId> pods;
  for (const auto& [place, source] : loaded_) {
    tracker_->remove_source(source);
    pods.insert(place.first);
  }
  loaded_.clear();
  for (const auto& [source, endpoint] : endpoint_of_) pods.erase(endpoint);
  for (const EndpointId id : pods) {
    const std::optional<KnownPod> pod = pods_.pod(id);
    if (!pod || pod->listed || pod->heard) continue;
    pods_.remove(id);
    forget_pod(id, pod->name);
  }
}

void CacheManager::tick() {
  const TimePoint now = clock_.now();
  const CacheTrackerStatistics statistics = tracker_->statistics();
  for (const KnownPod& pod : pods_.all()) {
    evictions_.sample(pod.id, state_of(pod, statistics).removed, now);
    if (pod.listed || publishers_.any_connected(pod.id).value_or(true)) continue;
    if (now - pod.heard_at < options_.gone_after) continue;
    pods_.remove(pod.id);
    forget_pod(pod.id, pod.name);
  }
}

// --- Events --------------------------------------------------------------------------------------

std::optional<KvSourceId> CacheManager::add_source(EndpointId endpoint, uint32_t rank,
                                                   std::string name) {
  const auto loaded = loaded_.find({endpoint, rank});
  if (loaded != loaded_.end()) {
    const KvSourceId source = loaded->second;
    loaded_.erase(loaded);
    endpoint_of_[source] = endpoint;
    return source;
  }
  const std::optional<KvSourceId> source = tracker_->add_source(endpoint, rank, std::move(name));
  if (source) endpoint_of_[*source] = endpoint;
  return source;
}

void CacheManager::remove_source(KvSourceId source) {
  tracker_->remove_source(source);
  const auto found = endpoint_of_.find(source);
  if (found == endpoint_of_.end()) return;
  publishers_.remove(found->second, source);
  endpoint_of_.erase(found);
}

void CacheManager::set_topic(KvSourceId source, std::string_view topic) {
  const auto found = endpoint_of_.find(source);
  if (found == endpoint_of_.end()) return;
  publishers_.set_model(found->second, source, read_event_topic(topic).model);
}

void CacheManager::set_connected(KvSourceId source, bool connected) {
  const auto found = endpoint_of_.find(source);
  if (found != endpoint_of_.end()) publishers_.set_connected(found->second, source, connected);
}

void CacheManager::set_freshness(KvSourceId source, KvFreshness freshness) {
  tracker_->set_freshness(source, freshness);
}

void CacheManager::clear(KvSourceId source) {
  tracker_->clear(source);
}

Result<KvBatchApplied> CacheManager::apply(KvSourceId source, std::string_view batch,
                                           TimePoint now) {
  ++counts_.messages;
  const TimePoint begin = clock_.now();
  const auto found = endpoint_of_.find(source);
  if (found == endpoint_of_.end()) return KvBatchApplied{};
  const EndpointId pod = found->second;
  const Result<KvBatchApplied> applied = tracker_->apply(source, batch, now);
  const Duration took = clock_.now() - begin;
  hear(pod, now);
  if (!applied) {
    ++counts_.bad;
    probe_.on_bad_batch(pods_.name_of(pod), applied.error().message);
  }
  probe_.on_batch(took);
  if (probe_.wants_events()) report_events(pod, batch, took);
  return applied;
}

void CacheManager::on_json(std::string_view topic, std::string_view text) {
  ++counts_.messages;
  const TimePoint begin = clock_.now();
  const std::string_view publisher = read_event_topic(topic).name;
  const Result<KvJsonEvents> events = read_kv_json_events(text);
  if (!events) {
    ++counts_.bad;
    return probe_.on_bad_batch(publisher, events.error().message);
  }
  if (!events->skipped.empty()) ++counts_.bad;
  for (const std::string& why : events->skipped) probe_.on_bad_batch(publisher, why);
  bool placed = true;
  for (const KvJsonEvent& event : events->events) {
    placed &= apply_json_event(publisher, event, begin);
  }
  if (!placed) ++counts_.unplaced_json;
  probe_.on_batch(clock_.now() - begin);
}

bool CacheManager::apply_json_event(std::string_view publisher, const KvJsonEvent& event,
                                    TimePoint now) {
  const TimePoint begin = clock_.now();
  const std::string_view whose = event.pod_id.empty() ? publisher : std::string_view(event.pod_id);
  if (whose.empty()) {
    ++counts_.bad;
    probe_.on_bad_batch(whose, "neither its pod_id nor its topic names a pod");
    return true;
  }
  const std::optional<EndpointId> seen = see(whose, now);
  if (!seen) return false;
  const EndpointId pod = *seen;
  named_.apply(pod, event);
  hear(pod, now);
  std::string_view type = "BLOCK_CREATED";
  switch (event.type) {
    case KvJsonEvent::Type::kCreated:
      ++counts_.created;
      break;
    case KvJsonEvent::Type::kEvicted:
      ++counts_.evicted;
      type = "BLOCK_EVICTED";
      break;
    case KvJsonEvent::Type::kUpdated:
      ++counts_.updated;
      type = "BLOCK_UPDATED";
      break;
  }
  if (!probe_.wants_events()) return true;
  const std::string name = pods_.name_of(pod);
  probe_.on_event(
      {type, name, event.block_hash, kv_block_name(event.block_hash), event.num_tokens.value_or(0)},
      clock_.now() - begin);
  return true;
}

void CacheManager::report_events(EndpointId pod, std::string_view batch, Duration took) {
  class Reporter final : public KvEventSink {
   public:
    Reporter(CacheManagerProbe& probe, const std::string& pod, Duration took)
        : probe_(probe), pod_(pod), took_(took) {}
    void on_stored(const KvBlocksStored& event) override {
      for (const uint64_t name : event.block_hashes) {
        probe_.on_event({"BLOCK_CREATED", pod_, {}, name, event.block_size}, took_);
      }
    }
    void on_removed(const KvBlocksRemoved& event) override {
      for (const uint64_t name : event.block_hashes) {
        probe_.on_event({"BLOCK_EVICTED", pod_, {}, name, 0}, took_);
      }
    }
    void on_all_cleared() override {
      probe_.on_event({"ALL_BLOCKS_CLEARED", pod_, {}, 0, 0}, took_);
    }
    void on_skipped(std::string_view) override {}

   private:
    CacheManagerProbe& probe_;
    const std::string& pod_;
    const Duration took_;
  };
  const std::string name = pods_.name_of(pod);
  Reporter reporter(probe_, name, took);
  static_cast<void>(reporting_.decode(batch, reporter));
}

void CacheManager::hear(EndpointId pod, TimePoint now) {
  if (pods_.hear(pod, now)) probe_.on_pod(pods_.name_of(pod));
}

std::optional<EndpointId> CacheManager::see(std::string_view name, TimePoint now) {
  const std::optional<PodTable::Seen> seen = pods_.see(name, now);
  if (!seen) {
    if (!no_place_told_.exchange(true)) probe_.on_no_place(name);
    return std::nullopt;
  }
  if (seen->made_room) forget_pod(seen->made_room->id, seen->made_room->name);
  return seen->id;
}

// Whether its connections ended; else how long it has been silent, for an idle engine is silent.
bool CacheManager::may_go(const KnownPod& pod, TimePoint now) const {
  const std::optional<bool> connected = publishers_.any_connected(pod.id);
  return connected ? !*connected : now - pod.heard_at >= options_.gone_after;
}

// What its sources brought goes when they do.
void CacheManager::forget_pod(EndpointId pod, std::string_view name) {
  no_place_told_ = false;
  named_.forget(pod);
  probe_.on_forgotten(name);
  if (departed_) departed_(pod);
}

std::optional<std::pair<EndpointId, Endpoint>> CacheManager::find(std::string_view topic) {
  const std::string_view name = read_event_topic(topic).name;
  if (name.empty()) return std::nullopt;
  const std::optional<EndpointId> id = see(name, clock_.now());
  if (!id) return std::nullopt;
  Endpoint endpoint;
  endpoint.name = std::string(name);
  return std::pair(*id, std::move(endpoint));
}

}  // namespace kvasir

#include "replicas/replica_sync.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "fleet/fleet.h"
#include "replicas/replica_probe.h"
#include "scheduling/scheduler.h"

namespace kvasir {
namespace {

using Limits = ReplicaMessageLimits;

constexpr uint64_t kNanosecondsPerMillisecond = 1'000'000;

uint64_t to_age_ms(Duration age) {
  return static_cast<uint64_t>(std::max<Duration::rep>(age.count(), 0)) /
         kNanosecondsPerMillisecond;
}

// The endpoints of one message, each listed once.
class EndpointList {
 public:
  EndpointList(const Snapshot& fleet, std::vector<std::string>& names)
      : fleet_(fleet), names_(names), places_(fleet.endpoints.size(), kUnlisted) {}

  // nullopt: it cannot be told.
  std::optional<uint32_t> place_of(EndpointId id) {
    if (index_of(id) >= places_.size()) return std::nullopt;
    uint32_t& place = places_[index_of(id)];
    if (place != kUnlisted) return place;
    const std::string& name = fleet_.endpoints[index_of(id)].endpoint->name;
    if (names_.size() == Limits::kEndpoints || name.empty() ||
        name.size() > Limits::kEndpointNameBytes) {
      return std::nullopt;
    }
    place = static_cast<uint32_t>(names_.size());
    names_.push_back(name);
    return place;
  }

 private:
  static constexpr uint32_t kUnlisted = UINT32_MAX;

  const Snapshot& fleet_;
  std::vector<std::string>& names_;
  std::vector<uint32_t> places_;
};

// In flight on each endpoint of the fleet, over all origins.
class Totals {
 public:
  explicit Totals(size_t endpoints) : requests_(endpoints), tokens_(endpoints) {}

  void add(EndpointId endpoint, const ReplicaLoad& load) {
    requests_[index_of(endpoint)] += load.requests;
    tokens_[index_of(endpoint)] += load.tokens;
  }
  std::vector<SharedLoad> loads() const {
    std::vector<SharedLoad> loads;
    for (uint32_t i = 0; i < requests_.size(); ++i) {
      if (requests_[i] == 0 && tokens_[i] == 0) continue;
      const auto requests = static_cast<uint32_t>(std::min<uint64_t>(requests_[i], UINT32_MAX));
      loads.push_back({EndpointId(i), requests, tokens_[i]});
    }
    return loads;
  }

 private:
  std::vector<uint64_t> requests_;
  std::vector<uint64_t> tokens_;
};

SharedPart& part_called(const std::string& plugin, SharedState& state) {
  const auto same = std::find_if(state.begin(), state.end(),
                                 [&](const SharedPart& part) { return part.plugin == plugin; });
  return same != state.end() ? *same : state.emplace_back(SharedPart{plugin, {}, {}});
}

bool has_bindings(const ReplicaMessage& message) {
  return std::any_of(message.plugins.begin(), message.plugins.end(),
                     [](const ReplicaPlugin& plugin) { return !plugin.bindings.empty(); });
}

void drop_bindings(ReplicaMessage& message) {
  for (ReplicaPlugin& plugin : message.plugins) plugin.bindings.clear();
}

}  // namespace

ReplicaSync::ReplicaSync(uint64_t id, const Fleet& fleet, Scheduler& scheduler, const Clock& clock,
                         ReplicaProbe& probe, ReplicaSyncOptions options)
    : id_(id),
      fleet_(fleet),
      scheduler_(scheduler),
      clock_(clock),
      probe_(probe),
      options_(options) {
  KVASIR_ASSERT(id != 0, "a replica has an id");
}

// --- Listening -----------------------------------------------------------------------------------

ReplicaSync::Heard ReplicaSync::hear(ReplicaMessage message) {
  if (message.origin == id_) return Heard::kOwn;
  auto found = origins_.find(message.origin);
  if (found == origins_.end()) {
    if (origins_.size() >= options_.origins_max) return Heard::kTooMany;
    found = origins_.emplace(message.origin, Origin{}).first;
    probe_.on_replica_found(message.origin, origins_.size());
  } else if (message.sequence <= found->second.sequence) {
    return Heard::kOld;
  }
  keep_bindings(message);
  drop_bindings(message);
  Origin& origin = found->second;
  origin.sequence = message.sequence;
  origin.heard = clock_.now();
  if (origin.plugins == message.plugins && origin.endpoints == message.endpoints) {
    return Heard::kTaken;
  }
  origin.endpoints = std::move(message.endpoints);
  origin.plugins = std::move(message.plugins);
  changed_ = true;
  return Heard::kTaken;
}

// Their ages count from the next tick: it is near.
void ReplicaSync::keep_bindings(const ReplicaMessage& message) {
  if (!has_bindings(message)) return;
  refresh_names();
  for (const ReplicaPlugin& plugin : message.plugins) {
    for (const ReplicaBinding& binding : plugin.bindings) {
      if (pending_count_ >= options_.pending_bindings_max) return;
      const auto id = names_.find(message.endpoints[binding.endpoint]);
      if (id == names_.end()) continue;
      pending_[plugin.name].push_back(
          {binding.session, id->second, std::chrono::milliseconds(binding.age_ms)});
      ++pending_count_;
    }
  }
}

void ReplicaSync::lost(uint64_t origin) {
  const auto found = origins_.find(origin);
  if (found == origins_.end()) return;
  found->second.heard =
      std::min(found->second.heard, clock_.now() - options_.timeout + options_.grace);
}

void ReplicaSync::forget_silent() {
  const TimePoint now = clock_.now();
  for (auto at = origins_.begin(); at != origins_.end();) {
    if (at->second.heard + options_.timeout > now) {
      ++at;
      continue;
    }
    const uint64_t origin = at->first;
    at = origins_.erase(at);
    changed_ = true;
    probe_.on_replica_lost(origin, origins_.size());
  }
}

void ReplicaSync::refresh_names() {
  std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  if (fleet == fleet_seen_) return;
  fleet_seen_ = std::move(fleet);
  names_.clear();
  for (uint32_t i = 0; i < fleet_seen_->endpoints.size(); ++i) {
    const std::string& name = fleet_seen_->endpoints[i].endpoint->name;
    if (!name.empty()) names_.emplace(name, EndpointId(i));
  }
}

void ReplicaSync::apply() {
  refresh_names();
  std::map<std::string, Totals> totals;
  for (const auto& entry : origins_) {
    const Origin& origin = entry.second;
    for (const ReplicaPlugin& plugin : origin.plugins) {
      Totals& sum = totals.try_emplace(plugin.name, fleet_seen_->endpoints.size()).first->second;
      for (const ReplicaLoad& load : plugin.loads) {
        const auto id = names_.find(origin.endpoints[load.endpoint]);
        if (id != names_.end()) sum.add(id->second, load);
      }
    }
  }
  SharedState state;
  for (auto& entry : totals) state.push_back({entry.first, entry.second.loads(), {}});
  changed_ = false;
  do {
    take_bindings(state);
    scheduler_.import_shared(state);
  } while (pending_count_ > 0);
}

// Moves some that are pending into `state`, in place of those in it.
void ReplicaSync::take_bindings(SharedState& state) {
  for (SharedPart& part : state) part.bindings.clear();
  size_t room = kBindingsAtOnce;
  while (room > 0 && !pending_.empty()) {
    const auto first = pending_.begin();
    std::vector<SharedBinding>& from = first->second;
    const size_t count = std::min(room, from.size());
    SharedPart& part = part_called(first->first, state);
    part.bindings.assign(from.end() - static_cast<ptrdiff_t>(count), from.end());
    from.resize(from.size() - count);
    if (from.empty()) pending_.erase(first);
    pending_count_ -= count;
    room -= count;
  }
}

// --- Speaking ------------------------------------------------------------------------------------

std::optional<std::string> ReplicaSync::tick() {
  forget_silent();
  // Endpoints that came or went: what is in flight there is known by name.
  if (!origins_.empty() && fleet_.snapshot() != fleet_seen_) changed_ = true;
  if (changed_ || pending_count_ > 0) apply();

  const TimePoint now = clock_.now();
  if (sent_ && now < *sent_ + options_.interval) return std::nullopt;
  const bool heartbeat = !sent_ || now >= *sent_ + options_.heartbeat;
  SharedExport wanted;
  wanted.new_bindings_max = options_.new_bindings_max;
  wanted.known_bindings_max = rounds_ > 0 ? options_.catch_up_bindings_max
                              : heartbeat ? options_.heartbeat_bindings_max
                                          : 0;
  const SharedState state = scheduler_.export_shared(wanted);
  const bool went_round = std::all_of(state.begin(), state.end(),
                                      [](const SharedPart& part) { return part.went_round; });
  if (rounds_ > 0 && went_round) --rounds_;

  ReplicaMessage message = message_of(state);
  const bool sessions = has_bindings(message);
  ReplicaMessage loads = message;
  drop_bindings(loads);
  if (!heartbeat && !sessions && loads.plugins == sent_loads_ &&
      loads.endpoints == sent_endpoints_) {
    return std::nullopt;
  }
  sent_ = now;
  message.sequence = ++sequence_;
  sent_loads_ = std::move(loads.plugins);
  sent_endpoints_ = std::move(loads.endpoints);
  std::string bytes = write_replica_message(message);
  if (bytes.size() > Limits::kMessageBytes) {
    drop_bindings(message);
    bytes = write_replica_message(message);
  }
  return bytes;
}

ReplicaMessage ReplicaSync::message_of(const SharedState& state) {
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  ReplicaMessage message;
  message.origin = id_;
  EndpointList endpoints(*fleet, message.endpoints);
  for (const SharedPart& part : state) {
    if (part.plugin.size() > Limits::kPluginNameBytes) continue;
    if (message.plugins.size() == Limits::kPlugins) break;
    ReplicaPlugin plugin{part.plugin};
    for (const SharedLoad& load : part.loads) {
      const std::optional<uint32_t> place = endpoints.place_of(load.endpoint);
      if (!place) continue;
      plugin.loads.push_back(
          {*place, static_cast<uint32_t>(std::min<uint64_t>(load.requests, Limits::kRequests)),
           std::min(load.tokens, Limits::kTokens)});
    }
    for (const SharedBinding& binding : part.bindings) {
      const std::optional<uint32_t> place = endpoints.place_of(binding.endpoint);
      if (place) plugin.bindings.push_back({*place, binding.session, to_age_ms(binding.age)});
    }
    if (!plugin.loads.empty() || !plugin.bindings.empty()) {
      message.plugins.push_back(std::move(plugin));
    }
  }
  return message;
}

}  // namespace kvasir

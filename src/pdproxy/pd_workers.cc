#include "pdproxy/pd_workers.h"

#include <algorithm>
#include <optional>
#include <tuple>
#include <utility>

#include "base/text.h"
#include "net/io/flag_address.h"

namespace kvasir {
namespace {

size_t index_of(P2pRole role) {
  return static_cast<size_t>(role);
}

bool same_address(const HostPort& one, const HostPort& other) {
  return one.port == other.port && one.host == other.host;
}

std::optional<HostPort> address_in(const std::string& text) {
  Result<HostPort> address = parse_address(text, "HOST:PORT");
  if (!address || !is_pd_name(address->host)) return std::nullopt;
  return std::move(*address);
}

}  // namespace

bool is_pd_name(std::string_view name) {
  const auto fits = [](char c) {
    return is_letter(c) || is_digit(c) || std::string_view(".-_:[]").find(c) != std::string::npos;
  };
  return !name.empty() && std::all_of(name.begin(), name.end(), fits);
}

bool is_pd_socket(std::string_view name) {
  return is_pd_name(name) && parse_address(name, "HOST:PORT").ok();
}

PdWorkers::PdWorkers(const PdProxyOptions& options)
    : backend_(options.backend),
      registration_port_(options.registration_port),
      registered_max_(options.registered_max),
      ttl_(options.registration_ttl) {
  state_.with([&options](State& state) {
    const auto add = [&state](P2pRole role, const PdNamedWorker& named) {
      state.roles[index_of(role)].entries.push_back(
          {std::make_shared<PdWorker>(role, named.address, named.name)});
    };
    for (const PdNamedWorker& named : options.prefill) add(P2pRole::kPrefill, named);
    for (const PdNamedWorker& named : options.decode) add(P2pRole::kDecode, named);
  });
}

PdWorkers::Heard PdWorkers::hear(const P2pRegistration& registration, TimePoint now) {
  const std::optional<HostPort> address = address_in(registration.http_address);
  if (!address || !is_pd_socket(registration.zmq_address)) return Heard::kMalformed;
  // A folder's proxy names workers without ports.
  const std::string& name = backend_ == PdBackend::kP2p ? registration.zmq_address : address->host;
  return state_.with([&](State& state) {
    Role& role = state.roles[index_of(registration.role)];
    for (Entry& entry : role.entries) {
      if (!same_address(entry.worker->address, *address)) continue;
      entry.heard = now;
      const bool renamed =
          entry.worker->name != name && (entry.registered || entry.worker->name.empty());
      if (renamed) entry.worker = std::make_shared<PdWorker>(registration.role, *address, name);
      return renamed ? Heard::kNew : Heard::kAgain;
    }
    if (role.registered >= registered_max_) return Heard::kFull;
    ++role.registered;
    role.entries.push_back(
        {std::make_shared<PdWorker>(registration.role, *address, name), true, now});
    return Heard::kNew;
  });
}

std::vector<PdWorkerRef> PdWorkers::expire(TimePoint now) {
  std::vector<PdWorkerRef> gone;
  state_.with([&](State& state) {
    for (Role& role : state.roles) {
      const auto stays = [&](const Entry& entry) {
        return !entry.registered || now - entry.heard < ttl_;
      };
      const auto end = std::stable_partition(role.entries.begin(), role.entries.end(), stays);
      for (auto entry = end; entry != role.entries.end(); ++entry) gone.push_back(entry->worker);
      role.registered -= static_cast<size_t>(role.entries.end() - end);
      role.entries.erase(end, role.entries.end());
    }
  });
  return gone;
}

PdCandidates PdWorkers::candidates(P2pRole role, size_t most, TimePoint now,
                                   const std::function<bool(const PdWorker&)>& fits) {
  PdCandidates candidates;
  state_.with([&](State& state) {
    using Order = std::tuple<bool, bool, uint32_t, uint64_t>;
    std::vector<std::pair<Order, Entry*>> ordered;
    for (Entry& entry : state.roles[index_of(role)].entries) {
      const PdWorker& worker = *entry.worker;
      if (worker.name.empty()) continue;  // nobody knows its ZeroMQ socket yet
      if (entry.registered && now - entry.heard >= ttl_) continue;
      const bool is_full = fits && !fits(worker);
      ordered.push_back({{worker.is_avoided(now), is_full, worker.legs, entry.turn}, &entry});
    }
    std::sort(ordered.begin(), ordered.end(),
              [](const auto& one, const auto& other) { return one.first < other.first; });
    if (ordered.size() > most) ordered.resize(most);
    for (const auto& [order, entry] : ordered) candidates.workers.push_back(entry->worker);
    if (ordered.empty() || std::get<1>(ordered.front().first)) return;
    ordered.front().second->turn = ++state.turns;
    candidates.first = PdBooking(candidates.workers.front());
  });
  return candidates;
}

std::vector<PdWorkers::Listed> PdWorkers::list() const {
  std::vector<Listed> listed;
  state_.with([&listed](const State& state) {
    for (const Role& role : state.roles) {
      for (const Entry& entry : role.entries) listed.push_back({entry.worker, entry.registered});
    }
  });
  return listed;
}

std::string PdWorkers::why_none(P2pRole role) const {
  const bool prefills = role == P2pRole::kPrefill;
  std::string why = prefills ? "there is no prefill worker: " : "there is no decode worker: ";
  std::string nameless;
  for (const Listed& each : list()) {
    if (each.worker->role != role || !each.worker->name.empty()) continue;
    nameless += (nameless.empty() ? "" : ", ") + to_string(each.worker->address);
  }
  if (nameless.empty()) {
    why += prefills ? "none is named (--prefill, PREFILL_URL)"
                    : "none is named (--decode, DECODE_URL)";
  } else {
    why += nameless + " is named without its ZeroMQ socket ";
    why += prefills ? "(--prefill-name, PREFILL_ZMQ)" : "(--decode-name, DECODE_ZMQ)";
  }
  why += ", and none has registered lately";
  return registration_port_ == 0 ? why : why + " on port " + std::to_string(registration_port_);
}

}  // namespace kvasir

#include "legs/worker_clients.h"

#include <utility>

#include "net/io/event_loop.h"

namespace kvasir {

WorkerClients::Client WorkerClients::find(const HostPort& worker) {
  const auto known = by_key_.find(to_string(worker));
  if (known != by_key_.end()) {
    Kept& kept = *known->second;
    if (kept.is_name && loop_.now() - kept.found >= limits_.name_lifetime) return nullptr;
    kept_.splice(kept_.begin(), kept_, known->second);
    return kept.client;
  }
  const std::optional<SocketAddress> address = literal_address(worker.host);
  return address ? keep(worker, with_port(*address, worker.port), false) : nullptr;
}

std::unique_ptr<Resolver::LookUp> WorkerClients::look_up(const HostPort& worker, Found found) {
  return resolver_.look_up(
      loop_, worker.host,
      [this, worker, found = std::move(found)](const Result<Resolver::Addresses>& addresses) {
        // A copy: what is called may destroy this function.
        const Found tell = found;
        if (!addresses) return tell(addresses.error());
        if (addresses->empty()) return tell(Error{worker.host + " has no address"});
        tell(keep(worker, with_port(preferred_address(*addresses), worker.port), true));
      });
}

WorkerClients::Client WorkerClients::keep(const HostPort& worker, const SocketAddress& address,
                                          bool is_name) {
  std::string key = to_string(worker);
  if (const auto known = by_key_.find(key); known != by_key_.end()) {
    kept_.erase(known->second);
    by_key_.erase(known);
  }
  const TlsPeer peer{limits_.tls, worker.host};
  auto client = std::make_shared<HttpClient>(loop_, address, limits_.client, peer);
  kept_.push_front({key, std::move(client), is_name, loop_.now()});
  by_key_.emplace(std::move(key), kept_.begin());
  if (kept_.size() > limits_.most) {
    by_key_.erase(kept_.back().key);
    kept_.pop_back();
  }
  return kept_.front().client;
}

}  // namespace kvasir

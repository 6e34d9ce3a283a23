#include "envoy_config/virtual_hosts.h"

#include <algorithm>
#include <set>

#include "routes/hostnames.h"

namespace kvasir {
namespace {

// Whether every host that `name` stands for is one of `pattern`'s. A wildcard's own text, star
// included, reads as a host with one label more.
bool covers(const std::string& pattern, const std::string& name) {
  return name.empty() ? pattern.empty() : hostname_matches(pattern, name);
}

// Null: none is for these hosts. Of two with one name the first, as in RouteTable.
const RouteListener* listener_for(const std::vector<const RouteListener*>& listeners,
                                  const std::string& name) {
  const RouteListener* best = nullptr;
  for (const RouteListener* one : listeners) {
    if (!covers(one->hostname, name)) continue;
    if (best == nullptr || is_more_specific_hostname(one->hostname, best->hostname)) best = one;
  }
  return best;
}

}  // namespace

std::vector<VirtualHost> virtual_hosts(const RouteTable& table, uint16_t port, bool tls) {
  std::vector<const RouteListener*> listeners;
  std::set<std::string> names;
  for (const RouteListener& listener : table.listeners()) {
    if (listener.port != port || listener.tls != tls) continue;
    listeners.push_back(&listener);
    names.insert(listener.hostname);
    for (const RouteEntry& entry : listener.entries) names.insert(entry.hostname);
  }
  std::vector<VirtualHost> hosts;
  for (const std::string& name : names) {
    VirtualHost host{name, listener_for(listeners, name), {}};
    for (const RouteEntry& entry : host.listener->entries) {
      if (covers(entry.hostname, name)) host.entries.push_back(&entry);
    }
    std::stable_sort(host.entries.begin(), host.entries.end(),
                     [](const RouteEntry* a, const RouteEntry* b) { return comes_before(*a, *b); });
    hosts.push_back(std::move(host));
  }
  return hosts;
}

}  // namespace kvasir

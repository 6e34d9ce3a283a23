#include <algorithm>
#include <memory>
#include <utility>

#include "feeds/discovery.h"
#include "feeds/name_watch.h"

namespace kvasir {
namespace {

class DnsDiscovery final : public Discovery {
 public:
  DnsDiscovery(Executor& executor, Resolver& resolver, const HostPort& name, Duration interval,
               DiscoveryListener& listener)
      : port_(name.port),
        listener_(listener),
        watch_(
            executor, resolver, {name.host}, interval,
            [this](const std::string&, const Resolver::Addresses& addresses) { take(addresses); },
            [this](const std::string& host, const std::string& why) {
              listener_.on_discovery_failed(host, why);
            }) {}

  bool settled() const override { return watch_.settled(); }

 private:
  void take(const Resolver::Addresses& addresses) {
    std::vector<Endpoint> endpoints;
    for (const SocketAddress& address : addresses) {
      const HostPort origin{address_text(address), port_};
      endpoints.push_back({to_string(origin), origin.host, port_});
    }
    std::sort(endpoints.begin(), endpoints.end(),
              [](const Endpoint& a, const Endpoint& b) { return a.name < b.name; });
    listener_.on_endpoints(std::move(endpoints));
  }

  const uint16_t port_;
  DiscoveryListener& listener_;
  NameWatch watch_;
};

}  // namespace

std::unique_ptr<Discovery> watch_dns(Executor& executor, Resolver& resolver, const HostPort& name,
                                     Duration interval, DiscoveryListener& listener) {
  return std::make_unique<DnsDiscovery>(executor, resolver, name, interval, listener);
}

}  // namespace kvasir

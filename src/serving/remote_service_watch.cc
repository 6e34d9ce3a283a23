#include "serving/remote_service_watch.h"

#include <utility>

namespace kvasir {
namespace {

// Literal addresses need no look-up.
std::vector<std::string> names_of(const std::vector<RemoteSource>& sources) {
  std::vector<std::string> names;
  for (const RemoteSource& source : sources) {
    const Result<HostPort> origin = parse_http_origin(source.url);
    if (origin && !literal_address(origin->host)) names.push_back(origin->host);
  }
  return names;
}

}  // namespace

RemoteServiceWatch::RemoteServiceWatch(Executor& executor, Resolver& resolver,
                                       std::vector<RemoteSource> sources,
                                       const std::vector<RemoteService>& known, Duration interval,
                                       Changed changed, Trouble trouble)
    : sources_(std::move(sources)),
      changed_(std::move(changed)),
      trouble_(std::move(trouble)),
      watch_(
          executor, resolver, names_of(sources_), interval,
          [this](const std::string& host, const Resolver::Addresses& addresses) {
            on_addresses(host, addresses);
          },
          [this](const std::string&, const std::string& why) { trouble_(why); }) {
  for (const RemoteService& service : known) {
    const Result<HostPort> origin = parse_http_origin(service.source.url);
    if (origin) addresses_.set(origin->host, service.address);
  }
  changed_(services());
}

std::vector<RemoteService> RemoteServiceWatch::services() const {
  std::vector<RemoteService> services;
  for (const RemoteSource& source : sources_) {
    const Result<HostPort> origin = parse_http_origin(source.url);
    if (!origin) continue;
    const auto address = addresses_.find(origin->host, origin->port);
    if (address) services.push_back({source, to_string(*origin), *address});
  }
  return services;
}

void RemoteServiceWatch::on_addresses(const std::string& host,
                                      const Resolver::Addresses& addresses) {
  if (addresses.empty()) return trouble_(host + " has no address");
  if (addresses_.follow(host, addresses)) changed_(services());
}

}  // namespace kvasir

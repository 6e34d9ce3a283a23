#include "feeds/fleet_feeds.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "fleet/fleet.h"

namespace kvasir {
namespace {

constexpr Duration kReleaseInterval = std::chrono::seconds(1);

}  // namespace

FleetFeeds::FleetFeeds(EventLoop& loop, Resolver& resolver, Fleet& fleet, FleetProbe& probe,
                       FleetFeedsOptions options)
    : loop_(loop),
      resolver_(resolver),
      fleet_(fleet),
      probe_(probe),
      options_(std::move(options)) {}

FleetFeeds::~FleetFeeds() { loop_.cancel(release_timer_); }

void FleetFeeds::scrape(ScrapePlan plan) {
  if (const auto& check = plan.health_check) {
    options_.monitor.interval = check->interval;
    HealthRules& rules = options_.monitor.rules;
    rules.timeout = check->timeout;
    rules.healthy_threshold = static_cast<uint32_t>(check->healthy_threshold);
    rules.unhealthy_threshold = static_cast<uint32_t>(check->unhealthy_threshold);
  }
  if (!plan.sources.empty()) options_.monitor.engine_label = plan.sources.front().engine_label;
  probe_.on_scrape_plan(plan);
  scraper_.reset();
  if (plan.sources.empty()) return;
  scraper_ = std::make_unique<MetricsScraper>(loop_, fleet_, addresses_, probe_, loop_.clock(),
                                              std::move(plan));
}

Result<void> FleetFeeds::start() {
  if (options_.check_health) {
    monitor_ = std::make_unique<EndpointMonitor>(loop_, fleet_, addresses_, probe_, options_.monitor,
                                                 options_.still_down);
  }
  if (options_.eject_outliers) {
    ejection_ = std::make_unique<OutlierEjection>(fleet_, loop_.clock(), options_.ejection);
    release_timer_ = loop_.after(kReleaseInterval, [this] { release_outliers(); });
  }
  if (options_.discover) {
    discovery_ = options_.discover(loop_, *this);
  } else if (options_.dns) {
    discovery_ = watch_dns(loop_, resolver_, *options_.dns, options_.dns_interval, *this);
  } else if (!options_.endpoints_file.empty()) {
    Result<std::unique_ptr<Discovery>> watched =
        watch_endpoints_file(loop_, options_.endpoints_file, options_.file_interval, *this,
                             options_.endpoints_max);
    if (!watched) return watched.error();
    discovery_ = std::move(*watched);
  } else {
    on_endpoints(with_address());
    watch_names();
  }
  return {};
}

bool FleetFeeds::settled() const {
  if (settled_) return true;
  const bool settled = (!discovery_ || discovery_->settled()) &&
                       (!name_watch_ || name_watch_->settled()) &&
                       (!monitor_ || monitor_->settled());
  if (settled) settled_ = true;
  return settled;
}

std::vector<Endpoint> FleetFeeds::with_address() const {
  std::vector<Endpoint> endpoints;
  for (const Endpoint& endpoint : options_.endpoints) {
    if (addresses_.find(endpoint.host, endpoint.port)) endpoints.push_back(endpoint);
  }
  return endpoints;
}

// A worker that is not up yet often has no name yet: that is no reason not to serve from the
// others.
void FleetFeeds::watch_names() {
  std::vector<std::string> names;
  for (const Endpoint& endpoint : options_.endpoints) {
    if (!literal_address(endpoint.host)) names.push_back(endpoint.host);
  }
  if (names.empty()) return;
  name_watch_ = std::make_unique<NameWatch>(
      loop_, resolver_, names, options_.dns_interval,
      [this](const std::string& host, const Resolver::Addresses& addresses) {
        on_addresses(host, addresses);
      },
      [this](const std::string& host, const std::string& why) { on_discovery_failed(host, why); });
}

// A name without an address keeps its old one: its endpoint is asked there, and found to be away.
void FleetFeeds::on_addresses(const std::string& host, const Resolver::Addresses& addresses) {
  if (addresses.empty()) return on_discovery_failed(host, "it has no address");
  const std::vector<Endpoint> before = with_address();
  if (!addresses_.follow(host, addresses)) return;
  std::vector<Endpoint> staying;
  for (const Endpoint& endpoint : before) {
    if (endpoint.host != host) {
      staying.push_back(endpoint);
    } else {
      probe_.on_moved(endpoint, address_text(*addresses_.find(host, endpoint.port)));
    }
  }
  if (staying.size() < before.size()) on_endpoints(std::move(staying));
  on_endpoints(with_address());
}

void FleetFeeds::release_outliers() {
  ejection_->release_due();
  release_timer_ = loop_.after(kReleaseInterval, [this] { release_outliers(); });
}

void FleetFeeds::on_endpoints(std::vector<Endpoint> endpoints) {
  const std::shared_ptr<const Snapshot> before = fleet_.snapshot();
  const MembershipChange change = fleet_.replace_all(std::move(endpoints));
  refused_.clear();
  for (const Endpoint& endpoint : change.refused) refused_[endpoint.name] = endpoint;
  follow(*before, change);
  for (const Endpoint& endpoint : change.refused) probe_.on_endpoint_refused(endpoint);
}

// Endpoints that were refused get the slots that become free, before newcomers. Each is told once.
void FleetFeeds::on_endpoint_changes(EndpointChanges changes) {
  for (const std::string& name : changes.removed) refused_.erase(name);
  for (const Endpoint& endpoint : changes.put) refused_.erase(endpoint.name);
  std::map<std::string, Endpoint> waiting;
  if (!changes.removed.empty()) waiting = std::exchange(refused_, {});
  std::vector<Endpoint> put;
  put.reserve(waiting.size() + changes.put.size());
  for (const auto& [name, endpoint] : waiting) put.push_back(endpoint);
  std::move(changes.put.begin(), changes.put.end(), std::back_inserter(put));
  changes.put = std::move(put);
  const std::shared_ptr<const Snapshot> before = fleet_.snapshot();
  const MembershipChange change = fleet_.apply(std::move(changes));
  follow(*before, change);
  for (const Endpoint& endpoint : change.refused) {
    refused_[endpoint.name] = endpoint;
    if (!waiting.contains(endpoint.name)) probe_.on_endpoint_refused(endpoint);
  }
}

void FleetFeeds::follow(const Snapshot& before, const MembershipChange& change) {
  if (change.added.empty() && change.removed.empty()) return;
  const std::shared_ptr<const Snapshot> after = fleet_.snapshot();
  // Without checks this is the one who tells of their health.
  const bool unchecked = !options_.check_health;
  for (const EndpointId id : change.removed) {
    const Endpoint& endpoint = *before.endpoints[index_of(id)].endpoint;
    if (unchecked) probe_.on_unwatched(endpoint);
    probe_.on_left(endpoint);
    if (options_.left) options_.left(id);
  }
  for (const EndpointId id : change.added) {
    const Endpoint& endpoint = *after->endpoints[index_of(id)].endpoint;
    probe_.on_joined(id, endpoint);
    if (options_.joined) options_.joined(id, endpoint);
    if (!unchecked) continue;
    fleet_.set_healthy(id, true);
    probe_.on_health_changed(endpoint, true);
  }
  if (monitor_) monitor_->follow_fleet();
}

void FleetFeeds::on_discovery_failed(std::string_view source, std::string_view why) {
  probe_.on_discovery_failed(source, why);
}

}  // namespace kvasir

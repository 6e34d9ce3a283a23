#include "feeds/fleet_feeds.h"

#include <utility>

#include "fleet/fleet.h"

namespace kvasir {
namespace {

constexpr Duration kReleaseInterval = std::chrono::seconds(1);

}  // namespace

FleetFeeds::FleetFeeds(EventLoop& loop, Fleet& fleet, FleetProbe& probe, FleetFeedsOptions options)
    : loop_(loop), fleet_(fleet), probe_(probe), options_(std::move(options)) {
  look_names_up();
}

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
  if (options_.dns) {
    discovery_ = watch_dns(loop_, options_.dns->host, options_.dns->port, options_.dns_interval, *this,
                           options_.resolver);
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

// A worker that is not up yet often has no name yet: that is no reason not to serve from the others.
void FleetFeeds::look_names_up() {
  for (const Endpoint& endpoint : options_.endpoints) {
    const std::string& host = endpoint.host;
    if (addresses_.find(host, endpoint.port) || without_address_.contains(host)) continue;
    const Result<std::vector<std::string>> found = options_.resolver(host);
    if (found && !found->empty()) {
      addresses_.set(host, best_address(*found));
    } else {
      without_address_[host] = found ? "it has no address yet" : found.error().message;
    }
  }
}

std::vector<Endpoint> FleetFeeds::with_address() const {
  std::vector<Endpoint> endpoints;
  for (const Endpoint& endpoint : options_.endpoints) {
    if (addresses_.find(endpoint.host, endpoint.port)) endpoints.push_back(endpoint);
  }
  return endpoints;
}

void FleetFeeds::watch_names() {
  NameWatch::Addresses names;
  for (const Endpoint& endpoint : options_.endpoints) {
    if (literal_address(endpoint.host)) continue;
    const auto address = addresses_.find(endpoint.host, endpoint.port);
    names[endpoint.host] = address ? address_text(*address) : "";
  }
  for (const auto& [host, why] : std::exchange(without_address_, {})) {
    probe_.on_discovery_failed(host, why);
  }
  if (names.empty()) return;
  name_watch_ = std::make_unique<NameWatch>(
      loop_, std::move(names), options_.dns_interval,
      [this](const NameWatch::Addresses& moved) { on_moved(moved); },
      [this](std::string_view host, std::string_view why) {
        probe_.on_discovery_failed(host, why);
      },
      options_.resolver);
}

void FleetFeeds::on_moved(const NameWatch::Addresses& moved) {
  std::vector<Endpoint> staying;
  for (const Endpoint& endpoint : with_address()) {
    const auto address = moved.find(endpoint.host);
    if (address == moved.end()) {
      staying.push_back(endpoint);
    } else {
      probe_.on_moved(endpoint, address->second);
    }
  }
  for (const auto& [host, address] : moved) addresses_.set(host, address);
  on_endpoints(std::move(staying));
  on_endpoints(with_address());
}

void FleetFeeds::release_outliers() {
  ejection_->release_due();
  release_timer_ = loop_.after(kReleaseInterval, [this] { release_outliers(); });
}

void FleetFeeds::on_endpoints(std::vector<Endpoint> endpoints) {
  const std::shared_ptr<const Snapshot> before = fleet_.snapshot();
  const MembershipChange change = fleet_.replace_all(std::move(endpoints));
  const std::shared_ptr<const Snapshot> after = fleet_.snapshot();
  for (const EndpointId id : change.removed) probe_.on_left(*before->endpoints[index_of(id)].endpoint);
  for (const EndpointId id : change.added) {
    probe_.on_joined(id, *after->endpoints[index_of(id)].endpoint);
    if (!options_.check_health) fleet_.set_healthy(id, true);
  }
  for (const Endpoint& endpoint : change.refused) probe_.on_endpoint_refused(endpoint);
  if (monitor_) monitor_->follow_fleet();
}

void FleetFeeds::on_discovery_failed(std::string_view source, std::string_view why) {
  probe_.on_discovery_failed(source, why);
}

}  // namespace kvasir

#include "serving/pool.h"

#include <utility>

#include "net/io/event_loop.h"
#include "plugins/presets/roster.h"
#include "scheduling/policy.h"

namespace kvasir {
namespace {

bool has_policy(const PoolOptions& options) {
  return !options.policy.empty();
}

std::string name_of(const PoolOptions& options) {
  return options.config_name.empty() ? "(default)" : options.config_name;
}

// The policy's model time.
double clock_scale(const PoolOptions& options) {
  return has_policy(options) ? options.time_scale : 1;
}

Result<void> check_hold(const PoolOptions& options) {
  if (!options.hold) return {};
  if (!has_policy(options)) {
    return Error{
        "--hold: the configuration decides who waits; turn on its feature gate flowControl"};
  }
  if (options.policy != "kv" && options.policy != "load-cost") {
    return Error{"--hold: policy '" + options.policy +
                 "' cannot tell how full a worker is; use kv or load-cost"};
  }
  return {};
}

Result<Configuration> named_policy(const PoolOptions& options) {
  PolicyOptions named;
  named.endpoints = options.feeds.slots();
  named.profile = options.plugins.profile;
  named.hold_threshold = options.plugins.hold_threshold;
  Result<std::unique_ptr<Policy>> policy = make_policy(options.policy, named);
  if (!policy) return Error{"--policy: " + policy.error().message};
  Configuration made;
  made.policy.policy = std::move(*policy);
  return made;
}

AdmissionSettings admission_of(const PoolOptions& options, const PolicyWithNotes& policy,
                               Holding& holding) {
  if (!has_policy(options)) return admission_settings(policy);
  return options.hold ? holding.settings(options.held_most) : AdmissionSettings{};
}

std::optional<ScaledClock> scaled_clock(const Clock& clock, double scale) {
  if (scale == 1) return std::nullopt;
  return std::optional<ScaledClock>(std::in_place, clock, scale);
}

}  // namespace

Result<std::unique_ptr<Pool>> Pool::create(Executor& executor, PoolOptions options,
                                           PoolProbe& probe) {
  if (const Result<void> hold = check_hold(options); !hold) return hold.error();
  options.plugins.endpoints = options.feeds.slots();
  options.plugins.filter_probe = &probe;
  Result<Configuration> made =
      has_policy(options) ? named_policy(options) : read_configuration(options.config, options);
  if (!made) return made.error();
  return std::unique_ptr<Pool>(new Pool(executor, std::move(options), probe, std::move(*made)));
}

Result<Configuration> Pool::read_configuration(std::string_view text, const PoolOptions& options) {
  return make_configuration(text, name_of(options), options.plugins,
                            options.refresh_metrics_interval);
}

Pool::Pool(Executor& executor, PoolOptions options, PoolProbe& probe, Configuration configuration)
    : options_(std::move(options)),
      probe_(probe),
      scaled_clock_(scaled_clock(executor.clock(), clock_scale(options_))),
      clock_(scaled_clock_ ? static_cast<const Clock&>(*scaled_clock_) : executor.clock()),
      fleet_(options_.feeds.slots()),
      sources_(configuration.policy.policy->remote_sources()),
      scrape_plan_(std::move(configuration.scrape_plan)),
      scheduler_(fleet_, std::move(configuration.policy.policy), clock_),
      holding_(scheduler_),
      admission_(scheduler_, clock_, admission_of(options_, configuration.policy, holding_),
                 &probe),
      admission_timer_(executor, admission_, clock_scale(options_)),
      notes_(std::move(configuration.policy.notes)) {
  admission_.set_priorities(options_.priorities);
  set_parsers(std::move(configuration.parsers));
  if (has_policy(options_)) return;
  configures_something_ = configuration.says_something;
  plugins_named_ = configuration.plugins_named;
  if (!configuration.discovery.path.empty() && !options_.endpoints_from_config) {
    notes_.push_back(discovery_note(options_.config_name, configuration.discovery));
  }
  if (!configures_something_ && !options_.config_name.empty()) {
    notes_.push_back(empty_configuration_note(options_.config_name));
  }
}

Result<void> Pool::feed(EventLoop& loop) {
  loop_ = &loop;
  feeds_ = std::make_unique<FleetFeeds>(loop, resolver_, fleet_, probe_, options_.feeds);
  feeds_->scrape(std::exchange(scrape_plan_, {}));
  if (Result<void> started = feeds_->start(); !started) return started.error();
  watch_services(std::exchange(sources_, {}));
  watch_config();
  return {};
}

void Pool::watch_config() {
  if (options_.config_file.empty()) return;
  config_watch_ = std::make_unique<FileWatch>(
      *loop_, options_.config_file, options_.config, PoolOptions::kConfigBytesMax,
      options_.config_interval, [this](Result<std::string> text) {
        if (!text) return probe_.on_configuration_read(text.error().message);
        static_cast<void>(reconfigure(*text));
      });
}

Result<std::vector<std::string>> Pool::reconfigure(std::string_view text) {
  Result<Configuration> configuration = checked_configuration(text);
  if (!configuration) {
    probe_.on_configuration_read(configuration.error().message);
    return configuration.error();
  }
  PolicyWithNotes& made = configuration->policy;
  sources_ = made.policy->remote_sources();
  admission_.reconfigure(admission_settings(made));  // first: its plugins die with the old policy
  scheduler_.replace_policy(std::move(made.policy));
  set_parsers(std::move(configuration->parsers));
  if (loop_ != nullptr) {
    watch_services(std::exchange(sources_, {}));
    feeds_->scrape(std::move(configuration->scrape_plan));
  } else {
    scrape_plan_ = std::move(configuration->scrape_plan);
  }
  configures_something_ = configuration->says_something;
  probe_.on_configuration_read("");
  const size_t before = std::exchange(plugins_named_, configuration->plugins_named);
  if (plugins_named_ < before) probe_.on_fewer_plugins(before, plugins_named_);
  return std::move(made.notes);
}

// As a whole, so that nothing of it is used when something is wrong.
Result<Configuration> Pool::checked_configuration(std::string_view text) const {
  Result<Configuration> configuration = read_configuration(text, options_);
  if (!configuration) return configuration.error();
  if (configures_something_ && !configuration->says_something) {
    return Error{empty_configuration_refusal(options_.config_name)};
  }
  const std::string& endpoints_file = options_.feeds.endpoints_file;
  if (options_.endpoints_from_config && configuration->discovery.path != endpoints_file) {
    return Error{options_.config_name + ": dataLayer.discovery names another file than " +
                 endpoints_file + ": that takes a restart"};
  }
  const Result<void> sources = check_sources(configuration->policy.policy->remote_sources());
  if (!sources) return sources.error();
  return configuration;
}

// Names are looked up elsewhere: until then requests go without the scores of a service that was
// not asked before.
void Pool::watch_services(std::vector<RemoteSource> sources) {
  service_watch_.reset();
  const auto known = in_use().services;
  service_watch_ = std::make_unique<RemoteServiceWatch>(
      *loop_, resolver_, std::move(sources), known ? *known : std::vector<RemoteService>{},
      options_.feeds.dns_interval,
      [this](const std::vector<RemoteService>& found) { set_services(found); },
      [this](std::string_view why) { probe_.on_service_lost(why); });
}

void Pool::set_services(std::vector<RemoteService> services) {
  in_use_.with([&](InUse& now) {
    now.services = services.empty()
                       ? nullptr
                       : std::make_shared<const std::vector<RemoteService>>(std::move(services));
  });
  version_.fetch_add(1, std::memory_order_release);
}

void Pool::set_parsers(RequestParsers parsers) {
  in_use_.with([&](InUse& now) {
    now.parsers = std::make_shared<const RequestParsers>(std::move(parsers));
  });
  version_.fetch_add(1, std::memory_order_release);
}

PoolStats Pool::stats() {
  return {admission_.stats(), admission_.mode() == AdmissionSettings::Mode::kFlowControl,
          scheduler_.plugin_readings()};
}

}  // namespace kvasir

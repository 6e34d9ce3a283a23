#include "serving/pool.h"

#include <algorithm>
#include <random>
#include <utility>

#include "config/compile.h"
#include "net/io/event_loop.h"
#include "plugins/plugin_roster.h"
#include "scheduling/policy.h"

namespace kvasir {
namespace {

// Presets count the model's time.
double clock_scale(const PoolConfig& config, const PoolOptions& options) {
  return config.model_time ? options.time_scale : 1;
}

// Flow control when its gate is on; else sheddable requests are refused while the detector says
// that the pool is saturated, unless nobody is to be refused.
AdmissionSettings admission_of(const PoolConfig& config, const PolicyWithNotes& policy) {
  using Mode = AdmissionSettings::Mode;
  const Mode without = config.sheds ? Mode::kShedding : Mode::kOpen;
  return {policy.flow_control_enabled ? Mode::kFlowControl : without, policy.flow};
}

// A plugin says more of it than the rest of the file.
WantedKnowledge wanted_by(const Policy& policy, const PoolConfig& config) {
  WantedKnowledge wanted = policy.wanted_knowledge();
  if (!wanted.caches) wanted.caches = config.caches;
  return wanted;
}

std::optional<ScaledClock> scaled_clock(const Clock& clock, double scale) {
  if (scale == 1) return std::nullopt;
  return std::optional<ScaledClock>(std::in_place, clock, scale);
}

}  // namespace

Result<std::unique_ptr<Pool>> Pool::create(Executor& executor, Registry registry,
                                           PoolConfig config, PoolOptions options,
                                           PoolProbe& probe) {
  options.plugins.endpoints = options.feeds.slots();
  options.plugins.filter_probe = &probe;
  Checked<PolicyWithNotes> policy =
      make_configured_policy(registry, config.scheduling, options.plugins);
  if (!policy) return policy.error();
  return std::unique_ptr<Pool>(new Pool(executor, std::move(registry), std::move(config),
                                        std::move(*policy), std::move(options), probe));
}

Result<std::unique_ptr<Pool>> Pool::open(Executor& executor, PoolOptions options,
                                         PoolProbe& probe) {
  Result<Registry> registry = plugin_registry(options.plugins.plugin_files);
  if (!registry) return registry.error();
  if (options.policy.empty() && options.preset.hold) {
    return Error{
        "--hold: the configuration decides who waits; turn on its feature gate flowControl"};
  }
  options.plugins.endpoints =
      options.endpoints_from_config ? options.feeds.endpoints_max : options.feeds.slots();
  Result<PoolConfig> config =
      options.policy.empty()
          ? compile_text(options.config, *registry, options)
          : compile_preset(options.policy, options.preset, *registry,
                           {options.plugins, options.refresh_metrics_interval});
  if (!config) return config.error();
  if (options.endpoints_from_config) {
    if (config->discovery.path.empty()) return Error{options.no_endpoints};
    options.feeds.endpoints_file = config->discovery.path;
    if (!config->discovery.watch) options.feeds.file_interval = Duration::zero();
  } else if (!config->discovery.path.empty()) {
    config->notes.push_back(discovery_note(config->name, config->discovery));
  }
  if (!config->says_something && !options.config_name.empty()) {
    config->notes.push_back(empty_configuration_note(config->name));
  }
  return create(executor, std::move(*registry), std::move(*config), std::move(options), probe);
}

Result<PoolConfig> Pool::compile_text(std::string_view text, const Registry& registry,
                                      const PoolOptions& options) {
  return compile(text, options.config_name.empty() ? "(default)" : options.config_name, registry,
                 {options.plugins, options.refresh_metrics_interval});
}

Pool::Pool(Executor& executor, Registry registry, PoolConfig config, PolicyWithNotes policy,
           PoolOptions options, PoolProbe& probe)
    : options_(std::move(options)),
      registry_(std::move(registry)),
      probe_(probe),
      config_(std::move(config)),
      scaled_clock_(scaled_clock(executor.clock(), clock_scale(config_, options_))),
      clock_(scaled_clock_ ? static_cast<const Clock&>(*scaled_clock_) : executor.clock()),
      fleet_(options_.feeds.slots()),
      token_cache_(options_.token_cache_bytes_max, std::random_device()()),
      sources_(policy.policy->remote_sources()),
      wanted_(wanted_by(*policy.policy, config_)),
      exact_caches_(options_.exact_caches),
      scheduler_(fleet_, std::move(policy.policy), clock_),
      admission_(scheduler_, clock_, admission_of(config_, policy), &probe),
      admission_timer_(executor, admission_, clock_scale(config_, options_)) {
  admission_.set_priorities(options_.priorities);
  set_parsers(config_.parsers);
  set_wanted(wanted_);
}

Result<void> Pool::feed(EventLoop& loop) {
  loop_ = &loop;
  if (Result<void> heard = listen_to_caches(wanted_); !heard) return heard.error();
  FleetFeedsOptions feeds = options_.feeds;
  feeds.joined = [this](EndpointId id, const Endpoint& endpoint) {
    if (kv_ != nullptr) kv_->joined(id, endpoint);
  };
  feeds.left = [this](EndpointId id) {
    if (kv_ != nullptr) kv_->left(id);
  };
  feeds_ = std::make_unique<FleetFeeds>(loop, resolver_, fleet_, probe_, std::move(feeds));
  feeds_->scrape(config_.scrape);
  if (Result<void> started = feeds_->start(); !started) return started.error();
  watch_services();
  watch_token_service();
  watch_config();
  return {};
}

// Endpoints that joined before are told to whoever begins to listen.
Result<void> Pool::listen_to_caches(const WantedKnowledge& wanted) {
  const std::optional<KvPlaces> places = kv_places(options_.kv, wanted);
  if (kv_ == nullptr) {
    if (!places || options_.exact_caches != nullptr) return {};
    kv_ = std::make_unique<KvKnowledge>(
        options_.kv, options_.feeds.slots(), probe_,
        [this](EndpointId endpoint) { scheduler_.forget_cache(endpoint); });
    const std::shared_ptr<const Snapshot> fleet = snapshot();
    for (uint32_t i = 0; i < fleet->endpoints.size(); ++i) {
      const EndpointState& state = fleet->endpoints[i];
      if (state.present) kv_->joined(EndpointId(i), *state.endpoint);
    }
    exact_caches_.store(&kv_->caches(), std::memory_order_release);
    kv_now_.store(kv_.get(), std::memory_order_release);
  }
  return kv_->listen(places);
}

void Pool::cache_was_reset(EndpointId id, const Endpoint& endpoint) {
  scheduler_.forget_cache(id);
  if (KvKnowledge* kv = kv_now_.load(std::memory_order_acquire)) kv->was_reset(id);
  probe_.on_cache_reset(endpoint);
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
  Result<PoolConfig> config = compile_text(text, registry_, options_);
  if (config) return reconfigure(std::move(*config));
  probe_.on_configuration_read(config.error().message);
  return config.error();
}

// Everything that can fail comes first: nothing of it is used when something is wrong.
Result<std::vector<std::string>> Pool::reconfigure(PoolConfig config) {
  const auto refused = [this](const Error& error) {
    probe_.on_configuration_read(error.message);
    return error;
  };
  if (const Result<void> good = check(config); !good) return refused(good.error());
  Checked<PolicyWithNotes> policy =
      make_configured_policy(registry_, config.scheduling, options_.plugins);
  if (!policy) return refused(policy.error());
  WantedKnowledge wanted = wanted_by(*policy->policy, config);
  if (loop_ != nullptr) {
    if (const Result<void> heard = listen_to_caches(wanted); !heard) return refused(heard.error());
  }
  sources_ = policy->policy->remote_sources();
  set_wanted(std::move(wanted));
  // First: its plugins die with the old policy.
  admission_.reconfigure(admission_of(config, *policy));
  scheduler_.replace_policy(std::move(policy->policy));
  set_parsers(config.parsers);
  if (loop_ != nullptr) {
    watch_services();
    watch_token_service();
    feeds_->scrape(config.scrape);
  }
  const size_t before = config_.plugins_named;
  config_ = std::move(config);
  probe_.on_configuration_read("");
  if (config_.plugins_named < before) probe_.on_fewer_plugins(before, config_.plugins_named);
  return config_.notes;
}

// Whether it can take the place of the one in use.
Result<void> Pool::check(const PoolConfig& config) const {
  if (config_.says_something && !config.says_something) {
    return Error{empty_configuration_refusal(config.name)};
  }
  const std::string& endpoints_file = options_.feeds.endpoints_file;
  if (options_.endpoints_from_config && config.discovery.path != endpoints_file) {
    return Error{config.name + ": dataLayer.discovery names another file than " + endpoints_file +
                 ": that takes a restart"};
  }
  if (clock_scale(config, options_) != clock_scale(config_, options_)) {
    return Error{config.name + ": its times run at another speed (--time-scale): that takes a "
                 "restart"};
  }
  return {};
}

// Names are looked up elsewhere: until then requests go without the scores of a service that was
// not asked before.
void Pool::watch_services() {
  service_watch_.reset();
  const auto known = in_use().services;
  service_watch_ = std::make_unique<RemoteServiceWatch>(
      *loop_, resolver_, sources_, known ? *known : std::vector<RemoteService>{},
      options_.feeds.dns_interval,
      [this](const std::vector<RemoteService>& found) { set_services(found); },
      [this](std::string_view why) { probe_.on_service_lost(why); });
}

// The service that tells the tokens of prompts.
void Pool::watch_token_service() {
  token_watch_.reset();
  if (!wanted_.tokens) return;
  const auto known = in_use().token_service;
  token_watch_ = std::make_unique<RemoteServiceWatch>(
      *loop_, resolver_,
      std::vector{RemoteSource{wanted_.tokens->plugin, wanted_.tokens->url, Duration::zero()}},
      known ? std::vector{*known} : std::vector<RemoteService>{}, options_.feeds.dns_interval,
      [this](const std::vector<RemoteService>& found) {
        use([&](InUse& now) {
          now.token_service =
              found.empty() ? nullptr : std::make_shared<const RemoteService>(found.front());
        });
      },
      [this](std::string_view why) { probe_.on_service_lost(why); });
}

template <class Change>
void Pool::use(Change&& change) {
  in_use_.with(std::forward<Change>(change));
  version_.fetch_add(1, std::memory_order_release);
}

void Pool::set_services(std::vector<RemoteService> services) {
  use([&](InUse& now) {
    now.services = services.empty()
                       ? nullptr
                       : std::make_shared<const std::vector<RemoteService>>(std::move(services));
  });
}

void Pool::set_wanted(WantedKnowledge wanted) {
  wanted_ = std::move(wanted);
  use([&](InUse& now) {
    now.expected_lifetime = wanted_.expected_lifetime.value_or(options_.journey.expected_lifetime);
    const bool same = now.tokens && wanted_.tokens && now.tokens->url == wanted_.tokens->url;
    if (!same) now.token_service = nullptr;
    now.tokens = wanted_.tokens;
  });
}

void Pool::set_parsers(RequestParsers parsers) {
  use([&](InUse& now) {
    now.parsers = std::make_shared<const RequestParsers>(std::move(parsers));
  });
}

// The bands first: a request of a new priority finds its own.
void Pool::set_objectives(std::shared_ptr<const PriorityByObjective> objectives) {
  by_objectives_.clear();
  if (objectives != nullptr) {
    for (const auto& [name, priority] : *objectives) by_objectives_.push_back(priority);
  }
  make_bands();
  if (objectives != nullptr && objectives->empty()) objectives = nullptr;
  use([&](InUse& now) { now.objectives = std::move(objectives); });
}

void Pool::set_client_priorities(std::vector<int32_t> priorities) {
  by_clients_ = std::move(priorities);
  make_bands();
}

void Pool::make_bands() {
  std::vector<int32_t> priorities = options_.priorities;
  priorities.insert(priorities.end(), by_objectives_.begin(), by_objectives_.end());
  priorities.insert(priorities.end(), by_clients_.begin(), by_clients_.end());
  std::sort(priorities.begin(), priorities.end());
  priorities.erase(std::unique(priorities.begin(), priorities.end()), priorities.end());
  if (priorities != priorities_) admission_.set_priorities(priorities);
  priorities_ = std::move(priorities);
}

void Pool::set_rewrites(std::shared_ptr<const ModelRewriteTable> rewrites) {
  use([&](InUse& now) { now.rewrites = std::move(rewrites); });
}

PoolStats Pool::stats() {
  const KvKnowledge* kv = kv_now_.load(std::memory_order_acquire);
  return {admission_.stats(), admission_.mode() == AdmissionSettings::Mode::kFlowControl,
          kv != nullptr ? std::optional(kv->statistics()) : std::nullopt,
          scheduler_.plugin_readings()};
}

}  // namespace kvasir

// Everything that decides for one set of endpoints: the fleet and what feeds it, the scheduler, the
// admission of requests, and the configuration that they follow.
//
// Made, fed, reconfigured, drained and destroyed on its executor's thread. The accessors may be
// called on any thread; what they return says for itself which thread it is for.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/guarded.h"
#include "base/result.h"
#include "config/pool_config.h"
#include "config/request_parsers.h"
#include "feeds/file_watch.h"
#include "feeds/fleet_feeds.h"
#include "fleet/fleet.h"
#include "model/model_rewrites.h"
#include "net/io/system_resolver.h"
#include "scheduling/plugin_set.h"
#include "scheduling/registry.h"
#include "scheduling/scheduler.h"
#include "scheduling/wanted_knowledge.h"
#include "serving/admission.h"
#include "serving/admission_timer.h"
#include "serving/kv_knowledge.h"
#include "serving/pool_options.h"
#include "serving/pool_probe.h"
#include "serving/remote_service_watch.h"
#include "serving/request_class.h"
#include "serving/token_cache.h"
#include "serving/token_estimator.h"

namespace kvasir {

class EventLoop;
class ExactCaches;

// For the metrics page.
struct PoolStats {
  FlowStats flow;             // who waits, and how full the pool is
  bool flow_control = false;  // whether anybody can have to wait
  std::optional<KvStatistics> kv;  // nullopt: nobody listens to the engines
  std::vector<PluginReading> plugins;
};

class Pool {
 public:
  // `executor`: where the pool lives. It and `probe` must outlive it. `registry`: the plugin types
  // that `config` and those after it name. Without feed() nobody looks after the endpoints: the
  // caller sets their states in fleet().
  static Result<std::unique_ptr<Pool>> create(Executor& executor, Registry registry,
                                              PoolConfig config, PoolOptions options,
                                              PoolProbe& probe);
  // The same by the configuration or policy that `options` name. With endpoints_from_config it
  // says where the endpoints are, too.
  static Result<std::unique_ptr<Pool>> open(Executor& executor, PoolOptions options,
                                            PoolProbe& probe);
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // What needs a network: endpoints, their health and metrics, the services that the configuration
  // names, and the watch of its file. Once, before requests; `loop` is the pool's executor.
  Result<void> feed(EventLoop& loop);

  // Uses another configuration from now on, or says why not and goes on as before. One that says
  // nothing does not replace one that says something. What is in flight, cached and bound stays
  // known. The probe is told. Returns notes.
  Result<std::vector<std::string>> reconfigure(PoolConfig config);
  // The same with the text of one, as of its file.
  Result<std::vector<std::string>> reconfigure(std::string_view text);
  // Priorities by objective, beside those of the options, and models that requests are sent on
  // with, from now on; null: there are none.
  void set_objectives(std::shared_ptr<const PriorityByObjective> objectives);
  void set_rewrites(std::shared_ptr<const ModelRewriteTable> rewrites);
  // Priorities that Journey::More may say, from now on; others wait with priority 0.
  void set_client_priorities(std::vector<int32_t> priorities);
  // Nobody is held any more: those who are get the answer for it.
  void drain() { admission_.drain(); }

  // Thread-safe.
  PoolStats stats();
  const PoolOptions& options() const { return options_; }
  // In use, and how it was understood. On the executor's thread.
  const PoolConfig& config() const { return config_; }
  PoolProbe& probe() { return probe_; }

  // Whether anybody looks at the headers of requests: plugins, objectives, who reports decisions.
  // PoolThread::reads_headers() knows of objectives that come later, too.
  bool reads_headers() const {
    return options_.policy.empty() || !options_.priorities.empty() || options_.journey.trace;
  }

  std::shared_ptr<const Snapshot> snapshot() const { return fleet_.snapshot(); }
  Fleet& fleet() { return fleet_; }
  Scheduler& scheduler() { return scheduler_; }
  Admission& admission() { return admission_; }
  TokenEstimator& estimator() { return estimator_; }
  TokenCache& token_cache() { return token_cache_; }
  Resolver& resolver() { return resolver_; }  // of all names
  const Clock& clock() const { return clock_; }  // of the policy: model time
  // Who knows what engines hold; null: nobody. Once there is somebody it stays the
  // same. Thread-safe.
  ExactCaches* exact_caches() const { return exact_caches_.load(std::memory_order_acquire); }
  // A request that went there reset its cache, as its answer says. Thread-safe.
  void cache_was_reset(EndpointId id, const Endpoint& endpoint);
  // Null before feed().
  FleetFeeds* feeds() { return feeds_.get(); }

  // What a thread looks at for each request, of the configuration in use (PoolThread keeps it).
  struct InUse {
    std::shared_ptr<const RequestParsers> parsers;
    std::shared_ptr<const std::vector<RemoteService>> services;  // null: nobody is to be asked
    std::shared_ptr<const PriorityByObjective> objectives;       // null: only the options'
    std::shared_ptr<const ModelRewriteTable> rewrites;           // null: models stay as they are
    Duration expected_lifetime{};                                // see JourneyOptions
    std::optional<WantedTokens> tokens;                          // nullopt: of whom engines say so
    std::shared_ptr<const RemoteService> token_service;  // of `tokens`; null: not looked up yet
  };
  InUse in_use() const {
    return in_use_.with([](const InUse& now) { return now; });
  }
  // Grows with each change of it.
  uint64_t version() const { return version_.load(std::memory_order_acquire); }

 private:
  Pool(Executor& executor, Registry registry, PoolConfig config, PolicyWithNotes policy,
       PoolOptions options, PoolProbe& probe);
  static Result<PoolConfig> compile_text(std::string_view text, const Registry& registry,
                                         const PoolOptions& options);
  Result<void> check(const PoolConfig& config) const;
  Result<void> listen_to_caches(const WantedKnowledge& wanted);
  void watch_services();
  void watch_token_service();
  void watch_config();
  void set_wanted(WantedKnowledge wanted);
  void set_parsers(RequestParsers parsers);
  void set_services(std::vector<RemoteService> services);
  template <class Change>
  void use(Change&& change);
  void make_bands();

  const PoolOptions options_;
  const Registry registry_;
  PoolProbe& probe_;
  PoolConfig config_;  // in use
  std::vector<int32_t> by_objectives_, by_clients_;
  std::vector<int32_t> priorities_;  // with bands of their own: the options', and those above
  EventLoop* loop_ = nullptr;  // from feed() on
  const std::optional<ScaledClock> scaled_clock_;
  const Clock& clock_;
  Fleet fleet_;
  TokenEstimator estimator_;
  TokenCache token_cache_;
  std::vector<RemoteSource> sources_;  // of the policy in use
  WantedKnowledge wanted_;             // the same
  std::atomic<ExactCaches*> exact_caches_;
  Scheduler scheduler_;
  Admission admission_;
  AdmissionTimer admission_timer_;
  std::unique_ptr<KvKnowledge> kv_;            // null: nobody has wanted it yet
  std::atomic<KvKnowledge*> kv_now_{nullptr};  // the same, for any thread
  SystemResolver resolver_;
  std::unique_ptr<FleetFeeds> feeds_;
  std::unique_ptr<RemoteServiceWatch> service_watch_;
  std::unique_ptr<RemoteServiceWatch> token_watch_;  // null: nobody is to be looked up
  std::unique_ptr<FileWatch> config_watch_;  // when the configuration is a file's
  Guarded<InUse> in_use_;
  std::atomic<uint64_t> version_{1};
};

}  // namespace kvasir

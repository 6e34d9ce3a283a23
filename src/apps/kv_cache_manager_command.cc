#include <CLI/CLI.hpp>
#include <algorithm>
#include <atomic>
#include <csignal>
#include <filesystem>
#include <memory>
#include <optional>
#include <set>
#include <utility>

#include "apps/commands.h"
#include "apps/kv_cache_manager_flags.h"
#include "apps/kv_cache_manager_metrics.h"
#include "apps/open_ports.h"
#include "apps/usage_error.h"
#include "base/whole_file.h"
#include "kvevents/event_feed.h"
#include "kvmanager/hand_over.h"
#include "kvmanager/manager_server.h"
#include "kvmanager/peer_watch.h"
#include "kvmanager/snapshot.h"
#include "net/io/background_job.h"
#include "net/io/event_loop.h"
#include "net/io/flag_address.h"
#include "net/io/signal_watcher.h"
#include "net/io/socket.h"
#include "net/io/system_resolver.h"
#include "telemetry/log.h"
#include "tokens/bpe_tokenizer.h"

namespace kvasir {
namespace {

constexpr const char* kManagerCommand = "kv-cache-manager";
constexpr size_t kTokenizerBytesMax = 256 * 1024 * 1024;
constexpr size_t kSnapshotBytesMax = size_t{16} << 30;
constexpr Duration kTickInterval = std::chrono::seconds(2);
// A pod of a snapshot that was not heard by then has gone.
constexpr Duration kClaimedWithin = std::chrono::minutes(10);
constexpr size_t kNamedMost = 10;  // pods, in one line of the log

constexpr const char* kManagerExamples =
    "Examples:\n"
    "  kvasir kv-cache-manager                         engines connect to port 5555 and publish\n"
    "                                                  under kv@POD@MODEL; the API on port 8080\n"
    "  kvasir kv-cache-manager --subscribe a=tcp://10.0.0.7:5557,replay=tcp://10.0.0.7:5558 \\\n"
    "                          --subscribe b=tcp://10.0.0.8:5557,replay=tcp://10.0.0.8:5558\n"
    "  vllm serve MODEL --kv-events-config "
    "'{\"enable_kv_cache_events\": true, \"publisher\": \"zmq\",\n"
    "      \"endpoint\": \"tcp://*:5557\", \"replay_endpoint\": \"tcp://*:5558\"}'    such an "
    "engine;\n"
    "                                                  kvasir worker, the simulated one, takes\n"
    "                                                  the same flag\n"
    "  curl localhost:8080/api/v1/score -d \"{\\\"token_ids\\\": [$(seq -s , 1 40)]}\"\n"
    "                                                  which pods have the prompt 1, 2, ... 40\n"
    "  curl localhost:8080/api/v1/cache/state          all pods together\n"
    "  kvasir kv watch http://localhost:8080           pods, blocks and events as they come\n"
    "  kvasir kv-cache-manager --load kv.snapshot --snapshot kv.snapshot ...     warm restarts\n"
    "docs/KV.md begins with commands to paste, and says what each field of the answers means.";

// The program: what it knows, its feed and its API.
class KvCacheManagerProgram {
 public:
  KvCacheManagerProgram(EventLoop& loop, KvCacheManagerSettings settings,
                        std::unique_ptr<LineWriter> events)
      : loop_(loop),
        settings_(std::move(settings)),
        metrics_(loop.clock(),
                 settings_.encoding == LogEncoding::kJson ? LogFormat::kJson : LogFormat::kText,
                 std::move(events)),
        manager_(std::make_shared<CacheManager>(
            settings_.manager, loop.clock(), metrics_,
            std::make_unique<CacheTracker>(settings_.manager.tracker))) {}
  ~KvCacheManagerProgram() { loop_.cancel(tick_); }

  Result<void> use_tokenizer(const std::string& file);
  // The pods, and what a snapshot says of them: before start().
  Result<void> prepare(const std::string& snapshot_file);
  Result<void> start(Descriptor listener);
  // Writes snapshots to that file from now on.
  void save_regularly(const std::string& file, Duration interval);
  Result<void> save(const std::string& file) const;
  uint16_t port() const { return server_->port(); }
  void drain(Duration most);

 private:
  void say_unheard(const KvSnapshot& snapshot) const;
  Result<void> start_feed();
  void learn_from_peers();
  void take_over(std::optional<KvSnapshot> snapshot, bool last, const HandOver::Decided& decided);
  // `why_nothing`: when nothing was taken over.
  void end_learning(const std::optional<Result<CacheManager::TakenOver>>& taken,
                    const char* why_nothing);
  void tick();
  void save_soon();

  EventLoop& loop_;
  const KvCacheManagerSettings settings_;
  KvCacheManagerMetrics metrics_;
  const std::shared_ptr<CacheManager> manager_;
  SystemResolver resolver_;
  std::atomic<KvEventFeed*> running_feed_{nullptr};  // feed_, for its own thread
  std::unique_ptr<KvEventFeed> feed_;
  std::unique_ptr<PeerWatch> peers_;
  std::unique_ptr<ManagerServer> server_;
  bool learns_ = false;  // from peers, at the start
  std::unique_ptr<HandOver> hand_over_;
  std::vector<std::optional<EndpointId>> listed_;  // of settings_.pods
  TimerId tick_ = kNoTimer;
  BackgroundJob saving_{loop_};
  std::string snapshot_file_;
  Duration snapshot_interval_{};
};

Result<void> write_snapshot_file(const CacheManager& manager, const std::string& file) {
  const Result<void> written = replace_file(file, write_snapshot(manager.snapshot()));
  if (!written) return Error{"--snapshot: " + written.error().message};
  return {};
}

Result<void> KvCacheManagerProgram::prepare(const std::string& snapshot_file) {
  for (const SubscribedPod& pod : settings_.pods) {
    listed_.push_back(manager_->list_pod(pod.name));
    if (!listed_.back()) return Error{"--subscribe: no place for pod '" + pod.name + "'"};
  }
  learns_ = !settings_.feed.bind.empty() && !settings_.peers.urls.empty();
  if (snapshot_file.empty()) return {};
  if (!std::filesystem::exists(snapshot_file)) {
    log_info("--load: " + snapshot_file + " is not there: beginning with nothing");
    return {};
  }
  Result<std::string> bytes = read_whole_file(snapshot_file, kSnapshotBytesMax);
  if (!bytes) return Error{"--load: " + bytes.error().message};
  Result<KvSnapshot> snapshot = read_snapshot(*bytes);
  if (!snapshot) return Error{"--load: " + snapshot_file + ": " + snapshot.error().message};
  const Result<size_t> restored = manager_->load(*snapshot);
  if (!restored) return Error{"--load: " + snapshot_file + ": " + restored.error().message};
  learns_ = learns_ && *restored == 0;
  log_info("--load: " + std::to_string(*restored) + " blocks of " + snapshot_file +
           " are known, and stale until their engines' events were read");
  say_unheard(*snapshot);
  return {};
}

// Where engines are subscribed to and none connects, the others of the file stay stale.
void KvCacheManagerProgram::say_unheard(const KvSnapshot& snapshot) const {
  if (!settings_.feed.bind.empty()) return;
  std::set<std::string> unheard;
  for (const KvSnapshot::Source& source : snapshot.sources) {
    if (source.position) unheard.insert(source.pod);
  }
  for (const SubscribedPod& pod : settings_.pods) unheard.erase(pod.name);
  if (unheard.empty()) return;
  std::string names;
  size_t named = 0;
  for (const std::string& pod : unheard) {
    if (named++ == kNamedMost) break;
    names.append(names.empty() ? "" : ", ").append(pod);
  }
  if (unheard.size() > kNamedMost) names.append(", ...");
  log_warning(
      "--load: no --subscribe names " + std::to_string(unheard.size()) +
      " of the file's pods, which stay stale and are forgotten after ten minutes: " + names);
}

Result<void> KvCacheManagerProgram::save(const std::string& file) const {
  return write_snapshot_file(*manager_, file);
}

void KvCacheManagerProgram::save_regularly(const std::string& file, Duration interval) {
  snapshot_file_ = file;
  snapshot_interval_ = interval;
  save_soon();
}

void KvCacheManagerProgram::save_soon() {
  loop_.after(snapshot_interval_, [this] {
    saving_.start([manager = manager_, file = snapshot_file_]() -> BackgroundJob::Use {
      return [written = write_snapshot_file(*manager, file)] {
        if (!written) log_warning(written.error().message);
      };
    });
    save_soon();
  });
}

Result<void> KvCacheManagerProgram::use_tokenizer(const std::string& file) {
  Result<std::string> text = read_whole_file(file, kTokenizerBytesMax);
  if (!text) return Error{"--tokenizer: " + text.error().message};
  Result<std::unique_ptr<BpeTokenizer>> loaded = BpeTokenizer::load(*text);
  if (!loaded) return Error{"--tokenizer: " + file + ": " + loaded.error().message};
  manager_->set_tokenizer([tokenizer = std::shared_ptr<const BpeTokenizer>(std::move(*loaded))](
                              std::string_view prompt, std::vector<uint32_t>& tokens) {
    return tokenizer->encode(prompt, tokens, true);
  });
  return {};
}

Result<void> KvCacheManagerProgram::start_feed() {
  KvEventFeedOptions options = settings_.feed;
  options.publishers = manager_.get();
  options.hold = learns_;
  options.sources_max = std::max(options.sources_max, settings_.manager.tracker.endpoints_max);
  manager_->set_departed([this](EndpointId pod) {
    if (KvEventFeed* const feed = running_feed_.load()) feed->left(pod);
  });
  Result<std::unique_ptr<KvEventFeed>> feed = KvEventFeed::start(options, *manager_, metrics_);
  if (!feed) {
    const std::string& message = feed.error().message;
    const bool of_bind = !options.bind.empty() && message.find(options.bind) != std::string::npos;
    return Error{(of_bind ? "--bind: " : "KV events: ") + message};
  }
  feed_ = std::move(*feed);
  running_feed_ = feed_.get();
  for (size_t i = 0; i < listed_.size(); ++i) {
    Endpoint endpoint;
    endpoint.name = settings_.pods[i].name;
    feed_->joined(*listed_[i], endpoint, settings_.pods[i].addresses);
  }
  loop_.after(kClaimedWithin,
              [this] { feed_->post([manager = manager_.get()] { manager->forget_unclaimed(); }); });
  return {};
}

Result<void> KvCacheManagerProgram::start(Descriptor listener) {
  if (Result<void> started = start_feed(); !started) return started.error();
  peers_ = std::make_unique<PeerWatch>(
      loop_, resolver_, settings_.peers, manager_,
      [this](const std::string& url, const PeerState& state) { metrics_.on_peer(url, state); });
  ManagerServerOptions options;
  options.metrics_page = [this] {
    return metrics_.page(manager_->state(), feed_->statistics(), peers_->states());
  };
  options.scored = [this](Duration took) { metrics_.scored(took); };
  options.peers = [this]() -> const PeerStates& { return peers_->states(); };
  server_ =
      std::make_unique<ManagerServer>(loop_, std::move(listener), manager_, std::move(options));
  if (learns_) learn_from_peers();
  tick();
  return {};
}

void KvCacheManagerProgram::learn_from_peers() {
  log_info("learning what other managers know (--peer); what engines publish waits meanwhile");
  server_->set_learning(true);
  peers_->set_comparing(false);
  hand_over_ = std::make_unique<HandOver>(
      loop_, HandOverOptions{}, [this] { return peers_->addresses(); },
      [this](std::optional<KvSnapshot> snapshot, bool last, const HandOver::Decided& decided) {
        take_over(std::move(snapshot), last, decided);
      });
}

// On the feed's thread, for what is held lives there.
void KvCacheManagerProgram::take_over(std::optional<KvSnapshot> snapshot, bool last,
                                      const HandOver::Decided& decided) {
  auto known = std::make_shared<std::optional<KvSnapshot>>(std::move(snapshot));
  feed_->look_at_held([this, known, last, decided](HeldMessages* held) {
    std::optional<Result<CacheManager::TakenOver>> taken;
    if (held != nullptr && *known) taken = manager_->take_over(std::move(**known), *held, last);
    const bool over = held == nullptr || taken || last;
    const char* const why = held == nullptr ? "engines published more than can wait"
                                            : "no other manager knows anything";
    loop_.post([this, taken, over, why, decided] {
      if (over) end_learning(taken, why);
      decided(over);
    });
    return over;
  });
}

void KvCacheManagerProgram::end_learning(
    const std::optional<Result<CacheManager::TakenOver>>& taken, const char* why_nothing) {
  server_->set_learning(false);
  peers_->set_comparing(true);
  if (!taken) return log_info(std::string(why_nothing) + ": beginning with nothing");
  if (!*taken) {
    return log_warning("what another manager knows cannot be used: " + taken->error().message);
  }
  const CacheManager::TakenOver& of = **taken;
  log_info("what another manager knows was taken over: " + std::to_string(of.blocks) +
           " blocks of " + std::to_string(of.publishers) + " engines; " +
           std::to_string(of.left_out) + " were left out, for they were not heard here in time");
}

void KvCacheManagerProgram::tick() {
  manager_->tick();
  tick_ = loop_.after(kTickInterval, [this] { tick(); });
}

void KvCacheManagerProgram::drain(Duration most) {
  server_->say_not_ready();
  loop_.after(most, [this] { loop_.stop(); });
  server_->drain([this] { loop_.stop(); });
}

void log_manager_start(const KvCacheManagerFlags& flags, const KvCacheManagerSettings& settings,
                       uint16_t port) {
  const size_t pods = settings.pods.size();
  std::string sources =
      "subscribed to " + std::to_string(pods) + (pods == 1 ? " engine" : " engines");
  if (!settings.feed.bind.empty()) sources = "engines connect to " + settings.feed.bind;
  log_info("serving on http://" + to_string(HostPort{flags.host, port}) + ", " + sources +
           ", index of " + flags.index_memory + " at most");
  if (flags.index_ttl_s > 0 || flags.index_max_blocks > 0) {
    log_warning(
        "--index-ttl or --index-max-blocks (INDEX_TTL, INDEX_MAX_BLOCKS) is set: blocks that "
        "engines still have are forgotten. Without them the index is exact, and --index-memory "
        "bounds it");
  }
  for (const std::string& unused : unused_manager_flags(flags)) log_warning(unused);
  std::vector<OpenPort> ports = {{"HTTP", port}};
  if (const std::string open = open_ports_warning(flags.host, ports); !open.empty()) {
    log_warning(open);
  }
}

int run_kv_cache_manager(const CLI::App& command, const KvCacheManagerFlags& flags) {
  set_log_component(kManagerCommand);
  const auto fail = [&command](int code, const Error& error) {
    return fail_command(kManagerCommand, code, with_variables(command, error.message));
  };
  Result<KvCacheManagerSettings> settings = kv_cache_manager_settings(flags);
  if (!settings) return fail(2, settings.error());
  set_log_level(settings->level);
  set_log_encoding(settings->encoding);
  raise_descriptor_limit();
  if (!flags.snapshot.empty()) {
    const Result<void> writable = check_replaceable(flags.snapshot);
    if (!writable) return fail(2, Error{"--snapshot: " + writable.error().message});
  }
  std::unique_ptr<LineWriter> events;
  if (settings->level == LogLevel::kDebug) {
    Result<std::unique_ptr<LineWriter>> writer = LineWriter::open("");
    if (!writer) return fail(1, writer.error());
    events = std::move(*writer);
  }
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return fail(1, loop.error());
  Result<Descriptor> listener = listen_on_flag("--http-port", flags.host, flags.http_port, false);
  if (!listener) return fail(1, listener.error());
  KvCacheManagerProgram program(**loop, *settings, std::move(events));
  if (!flags.tokenizer.empty()) {
    const Result<void> used = program.use_tokenizer(flags.tokenizer);
    if (!used) return fail(2, used.error());
  }
  const Result<void> prepared = program.prepare(flags.load);
  if (!prepared) return fail(2, prepared.error());
  const Result<void> started = program.start(std::move(*listener));
  if (!started) return fail(2, started.error());
  Result<std::unique_ptr<SignalWatcher>> signals =
      SignalWatcher::create(**loop, {SIGINT, SIGTERM, SIGHUP}, [&, stopping = false](int) mutable {
        if (std::exchange(stopping, true)) return (*loop)->stop();
        log_info("stopping: answering questions under way, refusing new ones");
        program.drain(from_seconds(flags.drain_timeout_s));
      });
  if (!signals) return fail(1, signals.error());
  log_manager_start(flags, *settings, program.port());
  if (!flags.snapshot.empty()) {
    program.save_regularly(flags.snapshot, from_seconds(flags.snapshot_interval_s));
  }
  (*loop)->run();
  if (flags.snapshot.empty()) return 0;
  const Result<void> saved = program.save(flags.snapshot);
  return saved ? 0 : fail(1, saved.error());
}

}  // namespace

void add_kv_cache_manager_command(CLI::App& app, int& exit_code) {
  CLI::App* command = app.add_subcommand(
      kManagerCommand,
      "Know which worker holds which KV-cache block, from the engines' own events, and answer "
      "questions\nabout it over HTTP");
  auto flags = std::make_shared<KvCacheManagerFlags>();
  add_kv_cache_manager_flags(*command, *flags);
  command->footer(kManagerExamples);
  command->callback(
      [command, flags, &exit_code] { exit_code = run_kv_cache_manager(*command, *flags); });
}

}  // namespace kvasir

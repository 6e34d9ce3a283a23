#include "apps/kv_cache_manager_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <optional>
#include <set>

#include "apps/duration_flag.h"
#include "apps/log_flags.h"
#include "apps/number_checks.h"
#include "kvevents/event_address.h"
#include "wire/quantity.h"

namespace kvasir {
namespace {

constexpr const char* kTutorialBind = "tcp://*:5555";
constexpr uint32_t kRanksMost = 64;

// `keys`: those that were read before.
Result<void> read_subscription_part(const std::string& part, std::set<std::string>& keys,
                                    KvEventAddresses& addresses) {
  const size_t equals = part.find('=');
  const std::string key = part.substr(0, equals);
  const std::string value = equals == std::string::npos ? "" : part.substr(equals + 1);
  if (value.empty()) return Error{"'" + part + "' is not KEY=VALUE"};
  if (!keys.insert(key).second) return Error{key + " appears twice"};
  if (key == "replay") {
    addresses.replay = value;
  } else if (key == "topic") {
    addresses.topic = value;
  } else if (key == "ranks") {
    const char* const end = value.data() + value.size();
    const auto [stopped, error] = std::from_chars(value.data(), end, addresses.ranks);
    if (error != std::errc() || stopped != end || addresses.ranks == 0 ||
        addresses.ranks > kRanksMost) {
      return Error{"ranks: '" + value + "' is not a number from 1 to " +
                   std::to_string(kRanksMost)};
    }
  } else {
    return Error{"'" + key + "' is not known: replay, topic and ranks are"};
  }
  return {};
}

Result<uint64_t> quantity_of(const char* flag, const std::string& text) {
  const std::optional<uint64_t> bytes = parse_quantity(text);
  if (bytes && *bytes > 0) return *bytes;
  return Error{std::string(flag) + ": '" + text + "' is not a number of bytes, as in 512Mi"};
}

Result<void> read_index(const KvCacheManagerFlags& flags, CacheManagerOptions& manager) {
  CacheTrackerOptions& tracker = manager.tracker;
  const Result<uint64_t> memory = quantity_of("--index-memory", flags.index_memory);
  if (!memory) return memory.error();
  tracker.index.memory_bytes_max = *memory;
  tracker.index.count_copies = flags.copies != "once";
  tracker.find_announced_again = flags.copies == "auto";
  tracker.lifetime = from_seconds(flags.index_ttl_s);
  tracker.blocks_max = flags.index_max_blocks;
  tracker.cleanup_interval = from_seconds(flags.index_cleanup_interval_s);
  // Ids of pods that went rest before they are given out again (kvmanager/pod_table.h).
  tracker.endpoints_max = flags.pods_max * 4;
  if (flags.pod_blocks > 0) manager.pod_blocks = flags.pod_blocks;
  if (!flags.block_bytes.empty()) {
    const Result<uint64_t> bytes = quantity_of("--block-bytes", flags.block_bytes);
    if (!bytes) return bytes.error();
    manager.block_bytes = *bytes;
  }
  return {};
}

Result<void> read_pods(const KvCacheManagerFlags& flags, KvCacheManagerSettings& settings) {
  std::set<std::string> names;
  for (const std::string& text : flags.subscribe) {
    Result<SubscribedPod> pod = parse_subscription(text);
    if (!pod) return Error{"--subscribe: " + pod.error().message};
    if (!names.insert(pod->name).second) {
      return Error{"--subscribe: pod '" + pod->name + "' appears twice"};
    }
    settings.pods.push_back(std::move(*pod));
  }
  if (settings.pods.size() > flags.pods_max) {
    return Error{"--subscribe: more pods than --pods-max (" + std::to_string(flags.pods_max) + ")"};
  }
  if (!flags.bind.empty() && !settings.pods.empty()) {
    return Error{"--bind and --subscribe: engines connect, or are connected to; only one of them"};
  }
  settings.feed.bind = flags.bind;
  if (flags.bind.empty() && settings.pods.empty()) settings.feed.bind = kTutorialBind;
  if (settings.feed.bind.empty()) return {};
  if (const Result<void> bind = check_bind_address(settings.feed.bind); !bind) {
    return Error{"--bind: " + bind.error().message};
  }
  return {};
}

}  // namespace

Result<SubscribedPod> parse_subscription(const std::string& text) {
  const size_t equals = text.find('=');
  if (equals == std::string::npos || equals == 0) {
    return Error{"'" + text + "' is not POD=tcp://HOST:PORT[,replay=tcp://HOST:PORT]"};
  }
  SubscribedPod pod;
  pod.name = text.substr(0, equals);
  size_t comma = text.find(',', equals);
  pod.addresses.events = text.substr(equals + 1, comma - equals - 1);
  if (pod.addresses.events.empty()) return Error{"'" + text + "': the address is empty"};
  std::set<std::string> keys;
  while (comma != std::string::npos) {
    const size_t next = text.find(',', comma + 1);
    const Result<void> read =
        read_subscription_part(text.substr(comma + 1, next - comma - 1), keys, pod.addresses);
    if (!read) return Error{"'" + text + "': " + read.error().message};
    comma = next;
  }
  // Such a pod has a name alone.
  for (const std::string& address : {pod.addresses.events, pod.addresses.replay}) {
    if (address.empty()) continue;
    if (address.find("HOST") != std::string::npos || address.find("PORT") != std::string::npos) {
      return Error{"'" + address +
                   "': HOST and PORT stand for nothing here; the engine's own are wanted"};
    }
    const Result<std::string> last = event_address(address, Endpoint{}, pod.addresses.ranks - 1);
    if (!last) return last.error();
  }
  if (pod.addresses.replay == pod.addresses.events) {
    return Error{"'" + text +
                 "': replay is where events come from; engines have another address for it"};
  }
  const Result<void> apart =
      check_rank_ports(pod.addresses.events, pod.addresses.replay, pod.addresses.ranks);
  if (!apart) return Error{"'" + text + "': " + apart.error().message};
  return pod;
}

Result<KvCacheManagerSettings> kv_cache_manager_settings(const KvCacheManagerFlags& flags) {
  KvCacheManagerSettings settings;
  if (Result<void> read = read_index(flags, settings.manager); !read) return read.error();
  if (Result<void> read = read_pods(flags, settings); !read) return read.error();
  if (flags.gap == "forget") settings.feed.stream.gap = KvGapPolicy::kForget;
  settings.peers.urls = flags.peers;
  settings.peers.interval = from_seconds(flags.peer_interval_s);
  if (Result<void> good = PeerWatch::check(settings.peers); !good) {
    return Error{"--peer: " + good.error().message};
  }
  const std::optional<LogLevel> level = log_level_named(flags.log_level);
  if (!level) {
    return Error{"--log-level: '" + flags.log_level +
                 "' is none of debug, info, warning and error"};
  }
  settings.level = *level;
  if (flags.log_encoding == "json") settings.encoding = LogEncoding::kJson;
  return settings;
}

std::vector<std::string> unused_manager_flags(const KvCacheManagerFlags& flags) {
  const KvCacheManagerFlags defaults;
  std::vector<std::string> unused;
  if (flags.snapshot.empty() && flags.snapshot_interval_s != defaults.snapshot_interval_s) {
    unused.push_back("--snapshot-interval: no effect without --snapshot");
  }
  if (flags.peers.empty() && flags.peer_interval_s != defaults.peer_interval_s) {
    unused.push_back("--peer-interval: no effect without --peer");
  }
  if (flags.index_ttl_s == 0 && flags.index_max_blocks == 0 &&
      flags.index_cleanup_interval_s != defaults.index_cleanup_interval_s) {
    unused.push_back(
        "--index-cleanup-interval: no effect without --index-ttl or "
        "--index-max-blocks");
  }
  return unused;
}

void add_kv_cache_manager_flags(CLI::App& command, KvCacheManagerFlags& flags) {
  command.add_option("--http-port", flags.http_port, "Port of the API; 0 takes a free one")
      ->envname("HTTP_PORT")
      ->capture_default_str();
  command.add_option("--host", flags.host, "Address of the API")->capture_default_str();
  command
      .add_option("--bind", flags.bind,
                  "Where engines connect to and publish their events, under topics\n"
                  "kv@POD@MODEL (default: tcp://*:5555 without --subscribe)")
      ->envname("ZMQ_BIND_ADDRESS")
      ->type_name("ADDRESS");
  command
      .add_option("--subscribe", flags.subscribe,
                  "An engine that publishes at an address of its own, as vLLM does:\n"
                  "POD=tcp://HOST:5557[,replay=tcp://HOST:5558][,topic=PREFIX][,ranks=N];\n"
                  "may be given for each pod. With replay, lost events are made up for")
      ->expected(1)
      ->type_name("POD=ADDRESS")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command
      .add_option("--tokenizer", flags.tokenizer,
                  "The model's tokenizer.json, to score prompts that are text")
      ->type_name("FILE");
  command
      .add_option("--pods-max", flags.pods_max,
                  "Pods at a time. Who came first stays: a new one is refused until the\n"
                  "connection of another has ended")
      ->check(CLI::Range(1, 16384))
      ->capture_default_str();
  command
      .add_option("--index-memory", flags.index_memory,
                  "Memory that the index may take, as 512Mi or 2Gi; blocks beyond it are not known")
      ->capture_default_str();
  add_seconds_flag(command, "--index-ttl", flags.index_ttl_s,
                   "Forget blocks that no event named for so long. 0: never, since what an\n"
                   "engine said stays true until it says otherwise")
      ->envname("INDEX_TTL")
      ->check(from_zero());
  command
      .add_option("--index-max-blocks", flags.index_max_blocks,
                  "Forget the oldest blocks beyond so many. 0: --index-memory is the limit")
      ->envname("INDEX_MAX_BLOCKS")
      ->capture_default_str();
  add_seconds_flag(command, "--index-cleanup-interval", flags.index_cleanup_interval_s,
                   "How often these two are looked after")
      ->envname("INDEX_CLEANUP_INTERVAL")
      ->check(above_zero());
  command
      .add_option("--copies", flags.copies,
                  "A block that is announced twice: auto (a copy, but not of engines that are\n"
                  "found to announce again what they have), count (always a copy) or once")
      ->check(CLI::IsMember({"auto", "count", "once"}))
      ->capture_default_str();
  command
      .add_option("--gap", flags.gap,
                  "When lost events cannot be made up for: stale (nothing is said of the pod until\n"
                  "its cache is known to be empty) or forget (what was known of it is forgotten,\n"
                  "and what comes from then on is used)")
      ->check(CLI::IsMember({"stale", "forget"}))
      ->capture_default_str();
  command.add_option("--pod-blocks", flags.pod_blocks,
                     "Blocks that each engine has room for, for cache_utilization, which engines\n"
                     "do not report (default: unknown)");
  command
      .add_option("--block-bytes", flags.block_bytes,
                  "What a block takes on an engine, for the cache sizes, which engines do not\n"
                  "report (default: unknown)")
      ->type_name("QUANTITY");
  command
      .add_option("--peer", flags.peers,
                  "Another manager of the same fleet: say when it knows something else, and when\n"
                  "engines connect here (--bind), begin with what it knows. A name with several\n"
                  "addresses stands for all of them; may be given several times")
      ->expected(1)
      ->type_name("http://HOST:PORT")
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  add_seconds_flag(command, "--peer-interval", flags.peer_interval_s, "How often peers are asked")
      ->check(above_zero());
  command
      .add_option(
          "--load", flags.load,
          "Begin with what a snapshot or `kvasir kv dump` says. A pod stays stale until its\n"
          "engine's events since then were read; of one that restarted nothing is taken.\n"
          "A file that is not there is no error")
      ->type_name("FILE");
  command
      .add_option("--snapshot", flags.snapshot,
                  "Write what is known to this file, at intervals and at the end")
      ->type_name("FILE");
  add_seconds_flag(command, "--snapshot-interval", flags.snapshot_interval_s,
                   "Between two snapshots")
      ->check(above_zero());
  add_seconds_flag(command, "--drain-timeout", flags.drain_timeout_s,
                   "What questions under way get after SIGTERM")
      ->check(from_zero());
  command.add_option("--log-level", flags.log_level, "debug (every event), info, warning or error")
      ->envname("LOG_LEVEL")
      ->capture_default_str();
  command.add_option("--log-encoding", flags.log_encoding, "text or json")
      ->check(CLI::IsMember({"text", "json"}))
      ->capture_default_str();
}

}  // namespace kvasir

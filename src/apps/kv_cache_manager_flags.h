// The flags of `kvasir kv-cache-manager`, and the tutorial's variables beside them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "kvevents/event_feed.h"
#include "kvmanager/cache_manager.h"
#include "kvmanager/peer_watch.h"
#include "telemetry/log.h"

namespace CLI {
class App;
}

namespace kvasir {

struct KvCacheManagerFlags {
  std::string host = "0.0.0.0";
  uint16_t http_port = 8080;
  std::string bind;  // empty: tcp://*:5555, unless there is something to subscribe to
  std::vector<std::string> subscribe;
  std::string tokenizer;
  size_t pods_max = 1024;
  std::string index_memory = "1Gi";
  double index_ttl_s = 0;
  uint64_t index_max_blocks = 0;
  double index_cleanup_interval_s = 300;
  std::string copies = "auto";
  std::string gap = "stale";
  uint64_t pod_blocks = 0;
  std::string block_bytes;  // as a quantity; empty: unknown
  std::vector<std::string> peers;
  double peer_interval_s = 10;
  std::string load;
  std::string snapshot;
  double snapshot_interval_s = 60;
  double drain_timeout_s = 10;
  std::string log_level = "info";
  std::string log_encoding = "text";
};

// A pod whose engine is subscribed to.
struct SubscribedPod {
  std::string name;
  KvEventAddresses addresses;
};

struct KvCacheManagerSettings {
  CacheManagerOptions manager;
  KvEventFeedOptions feed;
  std::vector<SubscribedPod> pods;
  PeerWatchOptions peers;
  LogLevel level = LogLevel::kInfo;
  LogEncoding encoding = LogEncoding::kText;
};

void add_kv_cache_manager_flags(CLI::App& command, KvCacheManagerFlags& flags);
// The error names the flag.
Result<KvCacheManagerSettings> kv_cache_manager_settings(const KvCacheManagerFlags& flags);
// For each flag that has no effect beside the others, a line that says why.
std::vector<std::string> unused_manager_flags(const KvCacheManagerFlags& flags);
// POD=tcp://HOST:PORT[,replay=tcp://HOST:PORT][,topic=PREFIX][,ranks=N]
Result<SubscribedPod> parse_subscription(const std::string& text);

}  // namespace kvasir

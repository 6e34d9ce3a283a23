// vLLM's --kv-transfer-config, as far as it is honoured here; and what was asked for and is not.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "net/io/socket.h"

namespace kvasir {

enum class KvTransferKind : uint8_t { kNixl, kP2p, kFs, kLmcache };

// Real links, on a machine that has none of them: bytes count `KvLayout::scale` times, as a real
// engine's would. All transfers of a worker share its link.
struct LinkShape {
  double gb_per_s = 0;  // 1e9 bytes of a real engine a second; 0: as fast as it goes
  Duration latency{};   // of each transfer
};

struct KvTransferConfig {
  KvTransferKind kind = KvTransferKind::kNixl;
  std::string connector;         // as it was named
  std::string role = "kv_both";  // kv_producer, kv_consumer, kv_both; NixlConnector ignores it, as
                                 // vLLM's does
  std::string engine_id;         // empty: a new one (UUID) at each start
  bool recompute_on_failure = false;  // kv_load_failure_policy: fail | recompute

  // NixlConnector. Host and port: VLLM_NIXL_SIDE_CHANNEL_HOST, _PORT.
  std::string side_channel_host = "localhost";
  uint16_t side_channel_port = 5600;
  // kv_lease_duration; each heartbeat (a sixth of it) gives two thirds more.
  Duration lease = std::chrono::seconds(30);
  bool enforce_handshake_compat = true;
  enum class Transport : uint8_t { kTcp, kShm };
  Transport transport = Transport::kTcp;  // of the bytes: extra config "transport"

  // P2pNcclConnector: extra config proxy_ip, proxy_port, http_port, send_type, addresses.
  std::string kv_ip = "127.0.0.1";
  uint16_t kv_port = 14579;
  std::string proxy;       // "HOST:PORT" to register with; empty: none
  uint16_t http_port = 0;  // what is registered; 0: the worker's own
  enum class SendType : uint8_t { kPut, kPutAsync, kGet };
  SendType send_type = SendType::kPutAsync;
  uint64_t kv_buffer_bytes = 1'000'000'000;
  // Where workers are whom request ids name otherwise: HOST:PORT of an id -> HOST:PORT; ours.
  std::map<std::string, HostPort> addresses;

  // ExampleConnector, SharedStorageConnector.
  std::string shared_storage_path = "/tmp";
  bool fs_safe = false;       // extra config "layout": "vllm", or "kvasir" (ours: checked, whole or
                              // not at all)
  uint64_t fs_bytes_max = 0;  // "max_bytes"; 0: no limit
  Duration fs_ttl{};          // "ttl_seconds", of lmcache too; 0: for ever

  // LMCacheConnectorV1: extra config "remote_url" (redis://HOST:PORT), as LMCACHE_REMOTE_URL.
  std::string remote_url;

  // All connectors; ours.
  LinkShape link;           // extra config "link_gb_per_s", "link_latency_ms"
  bool compress = false;    // "compression": "int8", or "compressionEnabled"
  bool pipelining = false;  // "pipelining"

  // What was asked for and is not in effect (rdmaEnabled, UCX_TLS, ...), a sentence each.
  std::vector<std::string> without_effect;
};

// `json`: the flag's value. The error names the member.
Result<KvTransferConfig> parse_kv_transfer_config(std::string_view json);

}  // namespace kvasir

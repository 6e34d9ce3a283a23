// What `kvasir sidecar` can be told. Every limit has its name and its default here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>

#include "handoff/handoff_options.h"
#include "legs/bootstrap_clients.h"
#include "legs/legs_relays.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "net/io/socket.h"
#include "sidecar/prefiller_allowlist.h"

namespace kvasir {

// What a page of metrics is made of, beyond what the probe was told.
struct SidecarState {
  std::string_view engine_page =
      {};                  // the decoder's own; empty: it did not answer, or was not asked
  size_t connections = 0;  // of clients, now
  std::optional<size_t> allowed = {};  // prefill workers in the allowlist; none: there is no list
};

struct SidecarTlsOptions {
  bool serves = false;             // clients speak TLS
  std::string certificate_folder;  // tls.crt and tls.key, read again when they change; empty: self-signed
  bool to_prefillers = false;
  bool to_decoder = false;
  bool checks_prefillers = true;  // their certificates, which must be for the address that is asked
  bool checks_decoder = true;
  std::string ca_file;  // whom both checks believe; empty: the system's
};

struct SidecarOptions {
  std::string host = "0.0.0.0";
  uint16_t port = 8000;
  HostPort decoder{"localhost", 8200};
  uint32_t threads = 1;  // for each rank
  // Rank i listens on port + i, in front of the decoder's port + i.
  uint32_t data_parallel_size = 1;
  std::string pod_ip;    // of x-data-parallel-host-port, and of kP2p; empty: not known
  std::string pod_name;  // in x-decode-pod; empty: not told
  SidecarTlsOptions tls;
  // Which prefill workers requests may name; must outlive the sidecar. Null: any.
  const PrefillerAllowlist* allowlist = nullptr;
  HandoffOptions handoff;
  AnswerOptions answer;
  uint16_t p2p_port = 14579;        // kv_port of P2pNcclConnector, on both sides
  bool nixl_pulls = false;          // x-kv-cache-source-host-port counts with nixlv2, too
  bool samples_prefillers = false;  // the first one that is asked is any of the candidates
  // Of one request, with sglang: each has a room of its own.
  size_t prompts_most = 1024;
  BootstrapClients::Limits bootstrap;  // of kMooncake

  HttpServerLimits server;
  size_t bodies_bytes_max = 192 * 1024 * 1024;
  HttpClientLimits client;
  size_t candidates_most = 16;  // of one request
  // Prefill workers whose connections are kept; the least recently used go first.
  size_t prefillers_most = 1024;
  // A prefill worker that is a name is looked up again after so long.
  Duration name_lifetime = std::chrono::seconds(30);
  // Answer bytes a slow client may leave unread here before the decoder's connection is paused.
  size_t unread_bytes_max = 1024 * 1024;
  Duration drain_timeout = std::chrono::seconds(60);

  // Our part of GET /metrics; any thread.
  std::function<std::string(const SidecarState&)> metrics_page;
  uint16_t metrics_port = 0;  // for ours alone; 0: none
  // What the decoder gets to answer for /metrics and /ready.
  Duration page_deadline = std::chrono::seconds(2);
  size_t page_bytes_max = 16 * 1024 * 1024;

  SidecarOptions() {
    server.keep_alive_timeout = std::chrono::seconds(300);
    // vLLM's server closes an unused connection after 5 s, and what is sent then is lost.
    client.keep_alive_timeout = std::chrono::seconds(4);
    answer.prefill_cached_tokens = answer.server_timing = true;
  }
};

}  // namespace kvasir

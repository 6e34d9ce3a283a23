// The flags of `kvasir sidecar`: those of llm-d's routing sidecar, in all their generations, and a
// few of our own. docs/SIDECAR.md shows the table.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "apps/handoff_flags.h"
#include "apps/log_flags.h"
#include "apps/sidecar_allowlist.h"
#include "apps/upstream_flags.h"
#include "base/result.h"
#include "sidecar/sidecar_options.h"

namespace CLI {
class App;
}

namespace kvasir {

// What connections are encrypted. Upstream's flags, in both generations.
struct SidecarTlsFlags {
  bool secure_proxy = true;
  std::string cert_path;
  std::vector<std::string> enable_tls;            // prefiller, decoder, encoder
  std::vector<std::string> insecure_skip_verify;  // the same
  bool prefiller_use_tls = false, decoder_use_tls = false;
  bool prefiller_skip_verify = false, decoder_skip_verify = false;
  std::string ca_file;
};

struct SidecarFlags {
  SidecarTlsFlags tls;
  SidecarAllowlistFlags allowlist;
  ZapFlags zap;               // where --log-level says nothing
  std::string configuration;  // done with when the flags are parsed
  std::string host = "0.0.0.0";
  uint16_t port = 8000;
  uint16_t model_server_port = 8200;
  HandoffFlags handoff;
  uint16_t p2p_port = 14579;
  bool nixl_pulls = false;
  uint32_t data_parallel_size = 1;
  std::string pod_ip, pod_name;
  bool samples_prefillers = false;
  size_t idle_connections = 1024;
  std::string cached_tokens = "prefill";
  double gather_interval_s = 0.001;
  bool first_token = false;
  bool timing_trailers = false, timing_comment = false, tracing = false;
  uint32_t threads = 0;
  double drain_timeout_s = 60;
  size_t body_mib = 64;
  uint16_t metrics_port = 0;
  uint64_t kv_bytes_per_token = 0;
  std::string log_level;  // empty: zap says it
};

void add_sidecar_flags(CLI::App& command, SidecarFlags& flags);
// In the order of upstream's own list.
std::span<const UpstreamFlag> sidecar_upstream_flags();

Result<SidecarOptions> sidecar_options(const SidecarFlags& flags);

// Go's flags have one dash or two: those of `arguments` that have one, and a name of several
// letters, get another.
std::vector<std::string> with_two_dashes(std::vector<std::string> arguments);

}  // namespace kvasir

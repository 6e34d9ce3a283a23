// The flags of `kvasir pd-proxy`. docs/PD_PROXY.md shows them.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "apps/handoff_flags.h"
#include "base/result.h"
#include "pdproxy/pd_proxy_options.h"

namespace CLI {
class App;
}

namespace kvasir {

struct PdProxyFlags {
  std::string host = "0.0.0.0";
  uint16_t port = 8080;
  std::string backend;
  std::vector<std::string> prefill, decode;            // http://HOST:PORT
  std::vector<std::string> prefill_name, decode_name;  // as they stand in request ids
  std::string registration_port;                       // empty: where it is needed
  double registration_ttl_s = 10;
  double avoid_for_s = 5;
  uint32_t fs_max_prompt_tokens = 2048;
  size_t fs_max_waiting = 512;
  double fs_wait_s = 30;
  std::string fs_long_prompts = "refuse";
  HandoffFlags handoff;
  size_t body_mib = 64;
  uint32_t threads = 0;
  double drain_timeout_s = 60;
  double gather_interval_s = 0.001;
  bool access_log = true;
  std::string log_level = "info";
};

void add_pd_proxy_flags(CLI::App& command, PdProxyFlags& flags);

Result<PdProxyOptions> pd_proxy_options(const PdProxyFlags& flags);

}  // namespace kvasir

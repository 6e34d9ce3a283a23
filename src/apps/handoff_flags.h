// The flags of how a prompt is prefilled by one worker and its answer decoded by another, the same
// for every program that sends both legs.
#pragma once

#include <cstdint>
#include <string>

#include "handoff/handoff_options.h"

namespace CLI {
class App;
}

namespace kvasir {

struct HandoffFlags {
  std::string connector = "nixlv2";
  uint16_t offloading_port = 7777;
  bool of_sidecar = false;  // which alone speaks mooncake and p2p, and has flags of these:
  uint16_t mooncake_port = 8998, sglang_port = 8998;
  uint32_t retries = 0;
  double retry_backoff_s = 0.2;
  uint32_t attempts = 3;
  double deadline_s = 30;
  double deadline_ms_per_token = 0.5;
  double hedge_after_ms = 0;
  std::string on_prefill_failure = "error";
  std::string on_no_handoff = "local-decode";
};

// `connector_names`: "--kv-connector", and older names of it. `candidates`: who the prefill workers
// of one request are, for --help.
void add_handoff_flags(CLI::App& command, HandoffFlags& flags, const std::string& connector_names,
                       const std::string& candidates);
// Those of them about prefill legs alone, for a program whose dialect is given.
void add_prefill_flags(CLI::App& command, HandoffFlags& flags, const std::string& candidates);
HandoffOptions handoff_options(const HandoffFlags& flags);

}  // namespace kvasir

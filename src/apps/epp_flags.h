// The flags of `kvasir epp`: upstream's names and defaults, and our own.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/result.h"
#include "epp/epp_options.h"

namespace CLI {
class App;
}

namespace kvasir {

struct EppFlags {
  std::string host = "0.0.0.0";
  uint16_t grpc_port = 9002;
  uint16_t health_port = 9003;
  uint16_t metrics_port = 9090;
  std::string compat = "upstream";
  std::vector<std::string> endpoints;
  std::vector<std::string> objectives;
  std::string config_file;
  std::string config_text;
  bool secure_serving = true;
  bool allow_experimental_plugins = false;
  std::vector<std::string> plugins;
  bool disable_subset_filter = false;
  bool exact_port_subset = false;
  bool emit_endpoint_scores = false;
  bool keep_control_headers = false;
  bool answer_headers = false;
  bool skip_answers = false;
  uint32_t endpoints_per_pick = 1;
  uint32_t threads = 0;
  size_t body_mib = 64;
  double drain_timeout_s = 30;
  double health_interval_s = 1;
  int verbosity = 1;
  std::string engine_profile{kDefaultEngineProfile};
};

void add_epp_flags(CLI::App& command, EppFlags& flags);
Result<EppOptions> epp_options(const EppFlags& flags);

}  // namespace kvasir

// The flags of `kvasir epp`: upstream's names and defaults, and our own.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "apps/decision_log_flags.h"
#include "apps/epp_metrics.h"
#include "apps/health_flags.h"
#include "apps/kube_flags.h"
#include "apps/kv_flags.h"
#include "apps/log_flags.h"
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
  std::string endpoints_file;
  std::string dns;
  double dns_interval_s = 5;
  size_t endpoints_max = 1024;
  bool eject_outliers = false;
  double refresh_metrics_interval_s = 0.05;
  double metrics_half_life_s = 0;
  std::string certificate_path;
  bool certificate_reload = false;
  std::string tls_min_version;
  std::vector<std::string> tls_cipher_suites;
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
  std::string message_bytes_max;  // as a quantity; empty: the default
  std::vector<std::string> peers;
  std::string peers_secret_file;
  uint32_t peers_interval_ms = 100;
  uint32_t threads = 0;
  size_t body_mib = 64;
  size_t bodies_mib = 1024;
  double drain_timeout_s = 30;
  double drain_delay_s = -1;  // negative: none, and 5 s when the endpoints are pods
  double decision_deadline_s = 0;
  double hold_threshold_s = to_seconds(kHoldThreshold);
  HealthFlags health;
  ZapFlags log;
  DecisionLogFlags decision_log{""};
  KubeFlags kube;
  KvKnowledgeFlags kv;
  double metrics_staleness_s = 2;
  bool grpc_stream_metrics = false;
  std::string engine_profile{kDefaultEngineProfile};
};

void add_epp_flags(CLI::App& command, EppFlags& flags);
EppMetricsOptions epp_metrics_options(const EppFlags& flags);
Result<EppOptions> epp_options(const EppFlags& flags);
// `config`: the text of the configuration. nullopt: Kubernetes is not asked.
Result<std::optional<KubeChoice>> epp_kube_choice(const EppFlags& flags, std::string_view config);

}  // namespace kvasir

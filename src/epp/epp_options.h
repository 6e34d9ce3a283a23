// What `kvasir epp` can be told. Every limit has its name and its default here.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/clock.h"
#include "epp/replicas.h"
#include "feeds/fleet_feeds.h"
#include "net/grpc/grpc_server.h"
#include "net/io/tls_context.h"
#include "scheduling/saturation.h"
#include "serving/request_class.h"
#include "timing/engine_profile.h"
#include "wire/ext_proc/subset_match.h"

namespace kvasir {

struct EppOptions {
  std::string host = "0.0.0.0";
  uint16_t grpc_port = 9002;  // 0: a free one, here and below
  uint16_t health_port = 9003;
  uint16_t metrics_port = 9090;
  uint32_t threads = 1;
  FleetFeedsOptions feeds;
  // The text of an EndpointPickerConfig and its file's name; both empty: upstream's default.
  std::string config = {};
  std::string config_name = {};
  // feeds.endpoints_file is the one of its dataLayer.discovery.
  bool endpoints_from_config = false;
  // Read anew when it changes; empty: the configuration came from elsewhere.
  std::string config_file = {};
  static constexpr size_t kConfigBytesMax = 1024 * 1024;
  Duration config_interval = std::chrono::seconds(1);
  bool allow_alpha_plugins = false;
  Duration metrics_half_life{};  // of scores that come from metrics; zero: they do not age
  std::vector<std::string> plugin_files = {};  // shared objects with more plugin types
  // How often the endpoints' metrics are read, unless the configuration says otherwise.
  Duration refresh_metrics_interval = kRefreshIntervalLeast;
  EngineProfile profile;
  Duration hold_threshold = kHoldThreshold;  // of detectors that predict waits

  // TLS, self-signed unless there is a folder of tls.crt and tls.key.
  bool secure = false;
  std::string certificate_path = {};
  bool certificate_reload = false;  // read them again when they change
  TlsOptions tls;

  GrpcServerLimits grpc;
  size_t body_bytes_max = 64 * 1024 * 1024;  // of one request; beyond: 413
  size_t bodies_bytes_max = 1024 * 1024 * 1024;  // held by all requests; beyond: 429
  size_t header_bytes_max = 256 * 1024;  // of one request; beyond: 431
  Duration drain_timeout = std::chrono::seconds(30);
  // From a request's last byte to its decision, when it is held; then 429. Zero: as long as flow control says.
  Duration decision_deadline{};

  // By objective; and all there are, for the bands of flow control.
  PriorityOfObjective priority_of = [](std::string_view) { return std::optional<int32_t>(); };
  std::vector<int32_t> priorities = {};
  ReplicaOptions replicas;
  SubsetMode subset = SubsetMode::kAddress;
  // Endpoints named for one request: the pick and what to try after it, in order.
  uint32_t endpoints_per_pick = 1;
  bool keep_control_headers = false;  // of clients; see control_headers.h
  bool answer_headers = false;        // x-selected-pod, x-cache-hit, x-scheduling-time-ms and more
  bool emit_scores = false;
  bool measure_answers = true;  // metrics and logs of answers: they need the response phase
};

}  // namespace kvasir

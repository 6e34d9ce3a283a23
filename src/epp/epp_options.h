// What `kvasir epp` can be told. Every limit has its name and its default here.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "net/grpc/grpc_server.h"
#include "net/io/tls_context.h"
#include "replicas/replicas.h"
#include "serving/pool_options.h"
#include "wire/ext_proc/subset_match.h"

namespace kvasir {

struct EppOptions {
  std::string host = "0.0.0.0";
  uint16_t grpc_port = 9002;  // 0: a free one, here and below
  uint16_t health_port = 9003;
  uint16_t metrics_port = 9090;
  uint32_t threads = 1;
  PoolOptions pool;

  // TLS, self-signed unless there is a folder of tls.crt and tls.key.
  bool secure = false;
  std::string certificate_path = {};
  bool certificate_reload = false;  // read them again when they change
  TlsOptions tls;

  GrpcServerLimits grpc;
  size_t body_bytes_max = 64 * 1024 * 1024;      // of one request; beyond: 413
  size_t bodies_bytes_max = 1024 * 1024 * 1024;  // held by all requests; beyond: 429
  size_t header_bytes_max = 256 * 1024;          // of one request; beyond: 431
  Duration drain_timeout = std::chrono::seconds(30);
  // From when health says NOT_SERVING until new streams are refused: what gateways need to see it.
  Duration drain_delay = Duration::zero();
  // Of several replicas only the leader is ready: whether this one is, asked on any thread. Empty:
  // every replica is.
  std::function<bool()> leads = {};
  // Who may read /metrics: calls `done`, at once or later on the loop's thread, with 200 or the
  // status of a refusal. `authorization`: that field of the request. Empty: everybody may.
  std::function<void(std::string_view authorization, std::function<void(int status)> done)>
      authorize_metrics = {};
  ReplicaOptions replicas;
  SubsetMode subset = SubsetMode::kAddress;
  bool keep_control_headers = false;  // of clients; see control_headers.h
  bool answer_headers = false;        // x-selected-pod, x-cache-hit, x-cache-knowledge and more
  bool emit_scores = false;
  bool measure_answers = true;  // metrics and logs of answers: they need the response phase
};

}  // namespace kvasir

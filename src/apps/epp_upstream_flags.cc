#include "apps/epp_upstream_flags.h"

namespace kvasir {
namespace {

using Effect = FlagEffect;

constexpr std::string_view kEngineConfigs =
    "upstream refuses it too: say it in core-metrics-extractor's engineConfigs";
constexpr std::string_view kPlainMetrics =
    "the metrics page speaks no TLS: leave it out, and keep the port on a trusted network or put "
    "a TLS proxy in front of it";

constexpr UpstreamFlag kFlags[] = {
    {"--grpc-port", Effect::kHonoured, "", "ext_proc's port"},
    {"--ha-enable-leader-election", Effect::kHonoured, "",
     "one replica of several is ready at a time; --peers-service lets all of them serve", true},
    {"--drain-timeout", Effect::kHonoured, "",
     "the most that running streams get; upstream waits for all of it"},
    {"--grpc-max-recv-msg-size", Effect::kHonoured, "",
     "of one message; 64Mi when it is not given (upstream: 4Mi)"},
    {"--grpc-max-send-msg-size", Effect::kWithoutEffect, "",
     "bodies go out in pieces of 62 kB whatever it says"},
    {"--pool-group", Effect::kHonoured, "",
     "inference.networking.k8s.io, inference.networking.x-k8s.io or serving.kserve.io"},
    {"--pool-namespace", Effect::kHonoured, "",
     "else the variable NAMESPACE, else this pod's own (upstream: default)"},
    {"--pool-name", Effect::kHonoured, "",
     "the InferencePool; beside --endpoints and the like only a name in metrics"},
    {"--endpoint-selector", Effect::kHonoured, "", "a label selector, as kubectl's"},
    {"--endpoint-target-ports", Effect::kHonoured, "", "from 1 to 8 ports of each pod"},
    {"--disable-endpoint-subset-filter", Effect::kHonoured, "", "subset hints are not looked at"},
    {"--emit-endpoint-scores", Effect::kHonoured, "", "the gateway is told every score"},
    {"--refresh-metrics-interval", Effect::kHonoured, "", "50ms at least"},
    {"--refresh-prometheus-metrics-interval", Effect::kWithoutEffect, "",
     "gauges of the pool are worked out when /metrics is read", false, true},
    {"--metrics-staleness-threshold", Effect::kHonoured, "", "for the pool's averages"},
    {"--total-queued-requests-metric", Effect::kRefused, "vllm:num_requests_waiting",
     kEngineConfigs},
    {"--total-running-requests-metric", Effect::kRefused, "vllm:num_requests_running",
     kEngineConfigs},
    {"--kv-cache-usage-percentage-metric", Effect::kRefused, "vllm:kv_cache_usage_perc",
     kEngineConfigs},
    {"--lora-info-metric", Effect::kRefused, "vllm:lora_requests_info", kEngineConfigs},
    {"--cache-info-metric", Effect::kRefused, "vllm:cache_config_info", kEngineConfigs},
    {"--model-server-metrics-port", Effect::kRefused, "0",
     "upstream took it away: say it in metrics-data-source's parameters"},
    {"--model-server-metrics-path", Effect::kRefused, "/metrics",
     "upstream took it away: say it in metrics-data-source's parameters"},
    {"--model-server-metrics-scheme", Effect::kRefused, "http",
     "metrics are read over plain http only: leave it out"},
    {"--model-server-metrics-https-insecure-skip-verify", Effect::kWithoutEffect, "false",
     "metrics are read over plain http only", true},
    {"--kubeconfig", Effect::kHonoured, "",
     "else the variable KUBECONFIG, else as a pod of the cluster, else ~/.kube/config"},
    {"-v", Effect::kHonoured, "",
     "3 and more adds a line for each request that is over: status, endpoint, times and "
     "tokens; --v is the same"},
    {"--zap-devel", Effect::kHonoured, "",
     "false makes the log JSON unless --zap-encoder says else"},
    {"--zap-encoder", Effect::kHonoured, "", "console or json"},
    {"--zap-log-level", Effect::kHonoured, "",
     "debug, info, error, panic or a number as of -v, which it overrides"},
    {"--zap-stacktrace-level", Effect::kWithoutEffect, "", "the log has no stack traces"},
    {"--zap-time-encoding", Effect::kWithoutEffect, "iso8601", "times are ISO 8601, in UTC"},
    {"--tracing", Effect::kWithoutEffect, "false", "no traces are sent yet", true},
    {"--health-checking", Effect::kWithoutEffect, "true",
     "the ext_proc port always answers health checks, too", true},
    {"--metrics-port", Effect::kHonoured, "", "/metrics, /healthz, /readyz"},
    {"--grpc-health-port", Effect::kHonoured, "", "the health service alone, without TLS"},
    {"--enable-pprof", Effect::kWithoutEffect, "false", "it is Go's profiler; perf works", true},
    {"--cert-path", Effect::kHonoured, "", "folder of tls.crt and tls.key"},
    {"--enable-cert-reload", Effect::kHonoured, "", "they are read again when they change"},
    {"--enable-grpc-stream-metrics", Effect::kHonoured, "", "llm_d_epp_extproc_streams_..."},
    {"--secure-serving", Effect::kHonoured, "", "TLS on the ext_proc port"},
    {"--tls-min-version", Effect::kHonoured, "", "1.2, 1.3, VersionTLS12, VersionTLS13"},
    {"--tls-cipher-suites", Effect::kHonoured, "", "by their IANA names; those of TLS 1.3, too"},
    {"--metrics-endpoint-auth", Effect::kHonoured, "",
     "the API server says who may read /metrics; off unless it is given (upstream: on)", true},
    {"--metrics-client-ca-file", Effect::kRefused, "", kPlainMetrics},
    {"--metrics-cert-dir", Effect::kRefused, "", kPlainMetrics},
    {"--config-file", Effect::kHonoured, "", "read again when it changes"},
    {"--config-text", Effect::kHonoured, "", "the configuration itself"},
    {"--allow-experimental-plugins", Effect::kHonoured, "", "alpha plugins may be named"},
};

}  // namespace

std::span<const UpstreamFlag> epp_upstream_flags() {
  return kFlags;
}

}  // namespace kvasir

#include "apps/epp_upstream_flags.h"

#include <CLI/CLI.hpp>

namespace kvasir {
namespace {

struct Known {
  const char* name;
  const char* harmless;
  const char* instead;
  bool is_switch = false;  // "--flag" alone means true, and a value stands behind "="
};

constexpr Known kKnown[] = {
    // Kubernetes: endpoints come from flags, a file or DNS.
    {"--pool-group", "", ""},
    {"--pool-namespace", "", ""},
    {"--endpoint-selector", "-", "name endpoints with --endpoints, --endpoints-file or --dns"},
    {"--endpoint-target-ports", "-", "name endpoints with --endpoints, --endpoints-file or --dns"},
    {"--ha-enable-leader-election", "false", "replicas need no leader: name them with --peers",
     true},
    // Metrics page.
    {"--metrics-endpoint-auth", "false", "keep the metrics port on a trusted network", true},
    {"--metrics-cert-dir", "-", "keep the metrics port on a trusted network"},
    {"--metrics-client-ca-file", "-", "keep the metrics port on a trusted network"},
    {"--refresh-prometheus-metrics-interval", "", ""},
    {"--enable-pprof", "", "", true},
    // Others.
    {"--tracing", "", "", true},
    {"--health-checking", "", "", true},
    {"--grpc-max-recv-msg-size", "", ""},
    {"--grpc-max-send-msg-size", "", ""},
    {"--zap-encoder", "", ""},
    // Deprecated upstream, which refuses them too.
    {"--total-queued-requests-metric", "-", "say it in core-metrics-extractor's engineConfigs"},
    {"--total-running-requests-metric", "-", "say it in core-metrics-extractor's engineConfigs"},
    {"--kv-cache-usage-percentage-metric", "-", "say it in core-metrics-extractor's engineConfigs"},
    {"--lora-info-metric", "-", "say it in core-metrics-extractor's engineConfigs"},
    {"--cache-info-metric", "-", "say it in core-metrics-extractor's engineConfigs"},
};

}  // namespace

std::shared_ptr<UpstreamFlags> UpstreamFlags::add_to(CLI::App& command) {
  auto flags = std::make_shared<UpstreamFlags>();
  for (const Known& known : kKnown) {
    flags->flags_.push_back(
        std::make_unique<Flag>(Flag{known.name, "", known.harmless, known.instead}));
    std::string& value = flags->flags_.back()->value;
    CLI::Option* option = known.is_switch ? command.add_flag(known.name, value, "")
                                          : command.add_option(known.name, value);
    option->group("");
  }
  return flags;
}

Result<void> UpstreamFlags::check() const {
  for (const auto& flag : flags_) {
    if (flag->value.empty() || flag->harmless.empty() || flag->value == flag->harmless) continue;
    return Error{flag->name + "=" + flag->value + " is not there: " + flag->instead};
  }
  return {};
}

std::vector<std::string> UpstreamFlags::notes() const {
  std::vector<std::string> notes;
  for (const auto& flag : flags_) {
    if (!flag->value.empty()) notes.push_back(flag->name + " is taken and changes nothing here");
  }
  return notes;
}

}  // namespace kvasir

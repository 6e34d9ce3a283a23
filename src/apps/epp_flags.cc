#include "apps/epp_flags.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <sstream>
#include <thread>

#include "net/socket.h"

namespace kvasir {
namespace {

constexpr uint16_t kSeedPort = 9000;

// HOST:PORT, optionally with labels behind it: HOST:PORT;role=proxy;zone=a
Result<Endpoint> parse_endpoint(const std::string& text) {
  std::istringstream parts(text);
  std::string part;
  std::getline(parts, part, ';');
  Result<HostPort> address = parse_http_origin(part);
  if (!address) return Error{"--endpoints: " + address.error().message};
  Endpoint endpoint{to_string(*address), address->host, address->port, {}};
  while (std::getline(parts, part, ';')) {
    const size_t equals = part.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Error{"--endpoints: '" + text + "': '" + part + "' is no LABEL=VALUE"};
    }
    endpoint.labels[part.substr(0, equals)] = part.substr(equals + 1);
  }
  return endpoint;
}

// NAME=PRIORITY
Result<std::map<std::string, int32_t, std::less<>>> parse_objectives(
    const std::vector<std::string>& texts) {
  std::map<std::string, int32_t, std::less<>> objectives;
  for (const std::string& text : texts) {
    const size_t equals = text.rfind('=');
    int32_t priority = 0;
    const char* end = text.data() + text.size();
    if (equals != std::string::npos && equals > 0) {
      const auto parsed = std::from_chars(text.data() + equals + 1, end, priority);
      if (parsed.ec == std::errc() && parsed.ptr == end) {
        objectives[text.substr(0, equals)] = priority;
        continue;
      }
    }
    return Error{"--objectives: '" + text + "' is no NAME=PRIORITY"};
  }
  return objectives;
}

Result<std::string> read_file(const std::string& path) {
  std::ifstream file(path);
  if (!file) return Error{"--config-file: cannot read " + path};
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

}  // namespace

Result<EppOptions> epp_options(const EppFlags& flags) {
  EppOptions options;
  options.host = flags.host;
  options.grpc_port =
      flags.compat == "seed" && flags.grpc_port == options.grpc_port ? kSeedPort : flags.grpc_port;
  options.health_port = flags.health_port;
  options.metrics_port = flags.metrics_port;
  options.threads =
      flags.threads > 0 ? flags.threads : std::max(1u, std::thread::hardware_concurrency());
  for (const std::string& text : flags.endpoints) {
    Result<Endpoint> endpoint = parse_endpoint(text);
    if (!endpoint) return endpoint.error();
    options.endpoints.push_back(std::move(*endpoint));
  }
  if (!flags.config_file.empty() && !flags.config_text.empty()) {
    return Error{"--config-file and --config-text: only one of them can say it"};
  }
  options.config = flags.config_text;
  if (!flags.config_text.empty()) options.config_name = "--config-text";
  if (!flags.config_file.empty()) {
    Result<std::string> text = read_file(flags.config_file);
    if (!text) return text.error();
    options.config = std::move(*text);
    options.config_name = options.config_file = flags.config_file;
  }
  auto objectives = parse_objectives(flags.objectives);
  if (!objectives) return objectives.error();
  for (const auto& [name, priority] : *objectives) options.priorities.push_back(priority);
  options.priority_of = [known = std::move(*objectives)](std::string_view name) {
    const auto found = known.find(name);
    return found == known.end() ? std::nullopt : std::optional<int32_t>(found->second);
  };
  options.allow_alpha_plugins = flags.allow_experimental_plugins;
  options.plugin_files = flags.plugins;
  Result<EngineProfile> profile = load_engine_profile(flags.engine_profile);
  if (!profile) return Error{"--engine-profile: " + profile.error().message};
  options.profile = *profile;
  options.body_bytes_max = flags.body_mib * 1024 * 1024;
  options.drain_timeout = from_seconds(flags.drain_timeout_s);
  options.monitor.interval = from_seconds(flags.health_interval_s);
  options.monitor.scrape = true;
  if (flags.exact_port_subset) options.subset = SubsetMode::kPort;
  if (flags.disable_subset_filter) options.subset = SubsetMode::kIgnored;
  options.endpoints_per_pick = flags.endpoints_per_pick;
  options.keep_control_headers = flags.keep_control_headers;
  options.answer_headers = flags.answer_headers;
  options.emit_scores = flags.emit_endpoint_scores;
  options.measure_answers = !flags.skip_answers;
  return options;
}

void add_epp_flags(CLI::App& command, EppFlags& flags) {
  command
      .add_option("--endpoints", flags.endpoints, "Endpoints, as HOST:PORT[;LABEL=VALUE...][,...]")
      ->required()
      ->delimiter(',');
  command.add_option("--config-file", flags.config_file,
                     "An EndpointPickerConfig; kvasir config check FILE explains it\n"
                     "(default: queue 2, KV cache use 2, prefix cache 3)");
  command.add_option("--config-text", flags.config_text, "The same, as the text itself");
  command
      .add_option("--objectives", flags.objectives,
                  "Priorities that x-llm-d-inference-objective may name, as NAME=PRIORITY[,...]")
      ->delimiter(',');
  command
      .add_option("--grpc-port", flags.grpc_port,
                  "Port for ext_proc; 0 takes a free one, here and below")
      ->capture_default_str();
  command.add_option("--grpc-health-port", flags.health_port, "Port of the gRPC health service")
      ->capture_default_str();
  command.add_option("--metrics-port", flags.metrics_port, "Port of /metrics")
      ->capture_default_str();
  command.add_option("--host", flags.host, "Address to listen on")->capture_default_str();
  command.add_option("--compat", flags.compat, "upstream, or seed: the tutorial's port 9000")
      ->check(CLI::IsMember({"upstream", "seed"}))
      ->capture_default_str();
  command.add_option("--secure-serving", flags.secure_serving, "TLS on the ext_proc port")
      ->capture_default_str();
  command.add_flag("--allow-experimental-plugins", flags.allow_experimental_plugins,
                   "Let the configuration name alpha plugins");
  command
      .add_option("--plugin", flags.plugins,
                  "A shared object with more plugin types (examples/plugin); may stand several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command.add_flag("--disable-endpoint-subset-filter", flags.disable_subset_filter,
                   "Do not look at the gateway's subset hint");
  command.add_flag("--exact-port-subset", flags.exact_port_subset,
                   "Hold a subset's entries against address and port, not the address alone");
  command.add_flag("--emit-endpoint-scores", flags.emit_endpoint_scores,
                   "Tell the gateway the score of every candidate");
  command
      .add_option("--endpoints-per-pick", flags.endpoints_per_pick,
                  "Endpoints to name for a request: the pick and what to try after it")
      ->check(CLI::Range(1, 8))
      ->capture_default_str();
  command.add_flag("--keep-control-headers", flags.keep_control_headers,
                   "Let headers through by which a client could choose endpoints itself");
  command.add_flag("--answer-headers", flags.answer_headers,
                   "Tell clients x-selected-pod, x-cache-hit, x-scheduling-time-ms");
  command.add_flag("--skip-answers", flags.skip_answers,
                   "Measure no answers: when no plugin needs them either, they pass by the picker");
  command.add_option("--threads", flags.threads, "Threads (default: one for each core)");
  command.add_option("--max-body-mib", flags.body_mib, "Largest request body; beyond it 413")
      ->check(CLI::Range(1, 4096))
      ->capture_default_str();
  command
      .add_option("--drain-timeout", flags.drain_timeout_s,
                  "Seconds that running streams get after SIGTERM")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str();
  command.add_option("--health-interval", flags.health_interval_s, "Seconds between health checks")
      ->check(CLI::PositiveNumber)
      ->capture_default_str();
  command
      .add_option("--engine-profile", flags.engine_profile,
                  "Profile (name or file) that cost plugins predict with")
      ->capture_default_str();
  command
      .add_option("--v", flags.verbosity,
                  "How much is logged: 1 what changes, 3 and more all there is")
      ->capture_default_str();
}

}  // namespace kvasir

#include "apps/kube_flags.h"

#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>

#include "apps/duration_flag.h"
#include "apps/number_checks.h"
#include "config/plugin_types.h"
#include "config/read_endpoint_picker_config.h"
#include "wire/kube/kube_names.h"
#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

constexpr const char* kGroup = "Kubernetes";

// InferencePools are read from the groups that have a row in kube_types().
Result<void> check_group(const std::string& group) {
  if (find_kube_type(KubeKind::kInferencePool, group) != nullptr) return {};
  std::string known;
  for (const KubeType& type : kube_types()) {
    if (type.as != KubeKind::kInferencePool) continue;
    known.append(known.empty() ? "" : ", ").append(type.group);
  }
  return Error{"--pool-group: no InferencePool is read from '" + group + "', only from " + known};
}

Result<PoolSelection> selection_of(const KubeFlags& flags) {
  PoolSelection selection;
  const char* name_space = std::getenv("NAMESPACE");
  selection.pool_namespace = flags.pool_namespace;
  if (selection.pool_namespace.empty() && name_space != nullptr) {
    selection.pool_namespace = name_space;
  }
  const char* said_by =
      flags.pool_namespace.empty() ? "the variable NAMESPACE" : "--pool-namespace";
  if (const Result<void> good = check_label_name(said_by, selection.pool_namespace); !good) {
    return good.error();
  }
  selection.pool_group = flags.pool_group;
  if (flags.endpoint_selector.empty()) {
    if (const Result<void> known = check_group(flags.pool_group); !known) return known.error();
    const Result<void> good = check_object_name("--pool-name", flags.pool_name);
    if (!good) return good.error();
    selection.pool_name = flags.pool_name;
    return selection;
  }
  Result<LabelSelector> selector = LabelSelector::parse(flags.endpoint_selector);
  if (!selector) return Error{"--endpoint-selector: " + selector.error().message};
  if (selector->empty()) return Error{"--endpoint-selector: it is blank: name a label"};
  if (flags.endpoint_target_ports.empty()) {
    return Error{"--endpoint-selector: --endpoint-target-ports must say which ports of the pods"};
  }
  Result<std::vector<uint16_t>> ports = parse_target_ports(flags.endpoint_target_ports);
  if (!ports) return Error{"--endpoint-target-ports: " + ports.error().message};
  selection.selector = std::move(*selector);
  selection.target_ports = std::move(*ports);
  return selection;
}

// What only means something when Kubernetes says where the endpoints are.
Result<void> check_without_kubernetes(const KubeFlags& flags, const OtherSources& others) {
  const std::pair<const char*, bool> given[] = {
      {"--kube-manifests", !flags.manifests.empty()},
      {"--ha-enable-leader-election", flags.leader_election},
      {"--metrics-endpoint-auth", flags.metrics_auth},
      {"--peers-service", !flags.peers_service.empty()},
      {"--endpoint-target-ports", !flags.endpoint_target_ports.empty()}};
  for (const auto& [flag, is_given] : given) {
    if (!is_given) continue;
    if (others.flags > 0 || others.config_discovers) {
      return Error{std::string(flag) + " is for pods of a cluster, and " +
                   (others.flags > 0 ? "another flag" : "dataLayer.discovery") +
                   " says where the endpoints are: leave one of them out"};
    }
    return Error{std::string(flag) +
                 " needs --pool-name (an InferencePool), or --endpoint-selector and "
                 "--endpoint-target-ports"};
  }
  return {};
}

Result<void> check_manifests(const KubeFlags& flags) {
  if (flags.manifests.empty()) return {};
  if (!flags.kubeconfig.empty()) {
    return Error{
        "--kube-manifests and --kubeconfig: objects come from files or from an API "
        "server, not from both"};
  }
  if (flags.leader_election) {
    return Error{
        "--ha-enable-leader-election needs an API server: with --kube-manifests nobody "
        "could hold a lease"};
  }
  if (flags.metrics_auth) {
    return Error{
        "--metrics-endpoint-auth needs an API server: with --kube-manifests nobody says who may "
        "read /metrics"};
  }
  return {};
}

}  // namespace

Result<void> check_object_name(const char* flag, std::string_view name) {
  if (name.empty() || is_dns_subdomain(name)) return {};
  return Error{std::string(flag) + ": '" + std::string(name.substr(0, 64)) +
               "' is no name of Kubernetes: lower case letters, digits, '-' and '.', at most 253"};
}

Result<void> check_label_name(const char* flag, std::string_view name) {
  if (name.empty() || is_dns_label(name)) return {};
  return Error{std::string(flag) + ": '" + std::string(name.substr(0, 64)) +
               "' is no name of Kubernetes: lower case letters, digits and '-', at most 63"};
}

Result<std::optional<KubeChoice>> kube_choice(const KubeFlags& flags, const OtherSources& others) {
  const bool selector = !flags.endpoint_selector.empty();
  const bool elsewhere = others.flags > 0 || others.config_discovers;
  if (selector && !flags.pool_name.empty()) {
    return Error{
        "--pool-name and --endpoint-selector: an InferencePool has a selector of its own; "
        "give one of them"};
  }
  const bool named = !flags.pool_name.empty() && !(elsewhere && others.pool_name_may_be_a_name);
  if (!selector && !named) {
    if (Result<void> checked = check_without_kubernetes(flags, others); !checked) {
      return checked.error();
    }
    return std::optional<KubeChoice>();
  }
  if (!selector && !flags.endpoint_target_ports.empty()) {
    return Error{
        "--pool-name and --endpoint-target-ports: an InferencePool has ports of its own; leave "
        "--endpoint-target-ports out"};
  }
  if (others.flags > 0) {
    return Error{std::string(selector ? "--endpoint-selector" : "--pool-name") + " and " +
                 others.names + ": only one of them can say where the endpoints are"};
  }
  if (others.config_discovers) {
    return Error{std::string(selector ? "--endpoint-selector" : "--pool-name") +
                 ": dataLayer.discovery of the configuration says where the endpoints are, too; "
                 "leave one of them out"};
  }
  if (Result<void> checked = check_manifests(flags); !checked) return checked.error();
  if (Result<void> good = check_label_name("--peers-service", flags.peers_service); !good) {
    return good.error();
  }
  Result<PoolSelection> selection = selection_of(flags);
  if (!selection) return selection.error();
  return std::optional<KubeChoice>({std::move(*selection), flags.kubeconfig, flags.manifests,
                                    flags.leader_election, flags.peers_service,
                                    flags.metrics_auth});
}

bool config_discovers(std::string_view config) {
  return !config.empty() && !read_endpoint_picker_config(config, upstream_plugin_types())
                                 .config.data_layer.discovery.empty();
}

bool config_reads_nodes(std::string_view config) {
  if (config.empty()) return false;
  const ConfigReading reading = read_endpoint_picker_config(config, upstream_plugin_types());
  return std::any_of(
      reading.config.plugins.begin(), reading.config.plugins.end(),
      [](const PluginConfig& plugin) { return plugin.type.starts_with("topology-"); });
}

void add_kube_flags(CLI::App& command, KubeFlags& flags, bool picker) {
  const auto option = [&command](const char* name, auto& value, const char* help) {
    return command.add_option(name, value, help)->group(kGroup);
  };
  option("--pool-name", flags.pool_name,
         picker
             ? "The InferencePool whose pods are the endpoints; beside --endpoints and the like\n"
               "only what the pool is called in metrics (then default: default)"
             : "The InferencePool whose pods are the workers");
  option("--pool-namespace", flags.pool_namespace,
         "Its namespace, and that of the pods (default: the variable NAMESPACE, else the\n"
         "namespace of this pod or of the kubeconfig's context)");
  option("--pool-group", flags.pool_group,
         "Its API group: inference.networking.k8s.io, inference.networking.x-k8s.io or\n"
         "serving.kserve.io")
      ->capture_default_str();
  option("--endpoint-selector", flags.endpoint_selector,
         "Without an InferencePool: the pods that this label selector takes, as kubectl's: "
         "KEY=VALUE,\n"
         "KEY!=VALUE, 'KEY in (A,B)', KEY, !KEY, with commas");
  option("--endpoint-target-ports", flags.endpoint_target_ports,
         "and these ports of each, as PORT[,...], 8 at most");
  option("--kubeconfig", flags.kubeconfig,
         "How to reach the API server (default: the variable KUBECONFIG, else as a pod of the\n"
         "cluster, else ~/.kube/config)");
  option("--kube-manifests", flags.manifests,
         "Files, or folders of files, with the objects as YAML, read again when they change,\n"
         "instead of an API server; may be given several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  if (!picker) return;
  command
      .add_flag("--ha-enable-leader-election", flags.leader_election,
                "Of several replicas only the one that holds the pool's Lease is ready")
      ->group(kGroup);
  command
      .add_flag(
          "--metrics-endpoint-auth", flags.metrics_auth,
          "Let only those read /metrics whose bearer token the API server knows and allows to")
      ->group(kGroup);
  option(
      "--peers-service", flags.peers_service,
      "The Service in front of the replicas of this picker, in this pod's namespace: they share\n"
      "load and sessions as with --peers, and are found by its EndpointSlices");
}

void add_drain_delay_flag(CLI::App& command, double& seconds, const std::string& help) {
  add_seconds_flag(
      command, "--drain-delay", seconds,
      help +
          ":\nwhoever sends them needs to hear of it first (default: 0, and 5 s when the\n"
          "endpoints are pods)")
      ->default_str("")
      ->check(from_zero());
}

std::string stopping_text(std::string_view what, Duration drain_delay) {
  const std::string when =
      drain_delay > Duration::zero() ? fmt::format(" in {:g} s", to_seconds(drain_delay)) : "";
  return fmt::format("stopping: running {} may end, new ones are refused{}", what, when);
}

}  // namespace kvasir

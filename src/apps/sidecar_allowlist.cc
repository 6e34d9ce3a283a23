#include "apps/sidecar_allowlist.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cstdlib>
#include <utility>

#include "apps/kube_flags.h"
#include "base/text.h"
#include "net/io/event_loop.h"
#include "net/io/flag_address.h"
#include "telemetry/log.h"
#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

constexpr const char* kAllowlistGroup = "Which prefill workers requests may name";
constexpr Duration kFileInterval = std::chrono::seconds(2);
constexpr Duration kNameInterval = std::chrono::seconds(5);
constexpr std::string_view kRoleLabel = "llm-d.ai/role";

void take_variable(const char* name, std::string& flag) {
  const char* value = std::getenv(name);
  if (flag.empty() && value != nullptr) flag = value;
}

// A pod that only decodes is nobody's prefill worker.
bool may_prefill(const Endpoint& endpoint) {
  const std::string* role = endpoint.label(std::string(kRoleLabel));
  return role == nullptr || role->find("prefill") != std::string::npos || *role == "both";
}

PrefillerAllowlist::Entry entry_of(const Endpoint& endpoint) {
  return {endpoint.name, may_prefill(endpoint) ? endpoint.host : "", endpoint.port};
}

std::vector<PrefillerAllowlist::Entry> entries_of(const std::vector<Endpoint>& endpoints) {
  std::vector<PrefillerAllowlist::Entry> entries;
  for (const Endpoint& endpoint : endpoints) entries.push_back(entry_of(endpoint));
  return entries;
}

// NAMESPACE/NAME, or NAME alone.
Result<void> split_pool(SidecarAllowlistFlags& flags) {
  if (flags.inference_pool.empty()) return {};
  if (!flags.inference_pool_name.empty()) {
    return Error{"--inference-pool and --inference-pool-name both name the pool: leave one out"};
  }
  const size_t slash = flags.inference_pool.find('/');
  flags.inference_pool_name =
      flags.inference_pool.substr(slash == std::string::npos ? 0 : slash + 1);
  if (slash != std::string::npos) {
    flags.inference_pool_namespace = flags.inference_pool.substr(0, slash);
  }
  return {};
}

}  // namespace

void add_sidecar_allowlist_flags(CLI::App& command, SidecarAllowlistFlags& flags) {
  command
      .add_flag(
          "--enable-ssrf-protection", flags.enabled,
          "Send nothing to a prefill worker that is not in the list of one of the flags below:\n"
          "403. Without it whoever reaches this port can have requests sent to any address")
      ->group(kAllowlistGroup);
  const auto add = [&](const char* names, auto& value, const char* help) {
    return command.add_option(names, value, help)->group(kAllowlistGroup);
  };
  add("--inference-pool", flags.inference_pool,
      "The ready pods of an InferencePool at its target ports, as NAMESPACE/NAME, or NAME in\n"
      "\"default\"; also INFERENCE_POOL. Pods whose llm-d.ai/role is decode alone do not count");
  add("--inference-pool-name", flags.inference_pool_name,
      "The older way to say it; also INFERENCE_POOL_NAME");
  add("--inference-pool-namespace", flags.inference_pool_namespace,
      "And its namespace; also INFERENCE_POOL_NAMESPACE (default: default)");
  add("--pool-group", flags.pool_group,
      "API group of the InferencePool; inference.networking.x-k8s.io is the older one")
      ->capture_default_str();
  add("--kubeconfig", flags.kubeconfig,
      "How to reach the API server (default: the pod's account, $KUBECONFIG, ~/.kube/config)");
  add("--kube-manifests", flags.manifests,
      "Files or folders of manifests instead of an API server, read again when they change")
      ->delimiter(',');
  add("--allow-prefillers", flags.addresses, "Addresses, as HOST:PORT[,...]; HOST is no name")
      ->delimiter(',');
  add("--allow-prefillers-file", flags.file,
      "Addresses from a file, read again when it changes (docs/EPP.md has its form)");
  add("--allow-prefillers-dns", flags.dns,
      "Every address of a name, as NAME:PORT (a headless Service)");
}

Result<void> settle_allowlist_flags(SidecarAllowlistFlags& flags) {
  take_variable("INFERENCE_POOL", flags.inference_pool);
  take_variable("INFERENCE_POOL_NAME", flags.inference_pool_name);
  take_variable("INFERENCE_POOL_NAMESPACE", flags.inference_pool_namespace);
  if (const Result<void> split = split_pool(flags); !split) return split;
  const int sources = static_cast<int>(!flags.inference_pool_name.empty()) +
                      static_cast<int>(!flags.addresses.empty()) +
                      static_cast<int>(!flags.file.empty()) + static_cast<int>(!flags.dns.empty());
  if (!flags.enabled) {
    if (flags.addresses.empty() && flags.file.empty() && flags.dns.empty()) return {};
    return Error{"--allow-prefillers, -file and -dns need --enable-ssrf-protection"};
  }
  if (sources == 0) {
    return Error{
        "--enable-ssrf-protection needs to know the prefill workers: --inference-pool, "
        "--allow-prefillers, --allow-prefillers-file or --allow-prefillers-dns"};
  }
  if (sources > 1) {
    return Error{
        "--inference-pool, --allow-prefillers, --allow-prefillers-file and "
        "--allow-prefillers-dns each say who the prefill workers are: leave all but one out"};
  }
  if (!flags.inference_pool_name.empty()) {
    if (find_kube_type(KubeKind::kInferencePool, flags.pool_group) == nullptr) {
      return Error{"--pool-group: no InferencePool is read from '" + flags.pool_group + "'"};
    }
    const Result<void> name = check_object_name("--inference-pool", flags.inference_pool_name);
    if (!name) return name;
    return check_label_name("--inference-pool-namespace", flags.inference_pool_namespace);
  }
  for (const std::string& address : flags.addresses) {
    const Result<HostPort> parsed = parse_address(address, "HOST:PORT");
    if (!parsed) return Error{"--allow-prefillers: " + parsed.error().message};
    if (!literal_address(parsed->host)) {
      return Error{"--allow-prefillers: '" + parsed->host +
                   "' is a name: write its address, or --allow-prefillers-dns NAME:PORT"};
    }
  }
  if (flags.dns.empty()) return {};
  const Result<HostPort> name = parse_address(flags.dns, "NAME:PORT");
  if (!name) return Error{"--allow-prefillers-dns: " + name.error().message};
  return {};
}

Result<std::unique_ptr<SidecarAllowlist>> SidecarAllowlist::start(
    EventLoop& loop, const SidecarAllowlistFlags& flags, PrefillerAllowlist& allowlist) {
  std::unique_ptr<SidecarAllowlist> filled(new SidecarAllowlist(allowlist));
  if (const Result<void> begun = filled->begin(loop, flags); !begun) return begun.error();
  return filled;
}

SidecarAllowlist::~SidecarAllowlist() = default;

Result<void> SidecarAllowlist::begin(EventLoop& loop, const SidecarAllowlistFlags& flags) {
  if (!flags.inference_pool_name.empty()) {
    KubeChoice choice;
    choice.selection.pool_name = flags.inference_pool_name;
    choice.selection.pool_namespace =
        flags.inference_pool_namespace.empty() ? "default" : flags.inference_pool_namespace;
    choice.selection.pool_group = flags.pool_group;
    choice.kubeconfig = flags.kubeconfig;
    choice.manifests = flags.manifests;
    KubeSessionOptions options;
    options.program = "sidecar";
    options.endpoints_only = true;
    Result<std::unique_ptr<KubeSession>> opened =
        KubeSession::open(loop, std::move(choice), options);
    if (!opened) return opened.error();
    kube_ = std::move(*opened);
    source_ = kube_->text();
    FleetFeedsOptions feeds;
    kube_->feed(feeds);
    discovery_ = feeds.discover(loop, *this);
    return {};
  }
  if (!flags.dns.empty()) {
    source_ = "the addresses of " + flags.dns;
    const HostPort name = *parse_address(flags.dns, "NAME:PORT");
    discovery_ = watch_dns(loop, resolver_, name, kNameInterval, *this);
    return {};
  }
  if (!flags.file.empty()) {
    source_ = flags.file;
    Result<std::unique_ptr<Discovery>> watched =
        watch_endpoints_file(loop, flags.file, kFileInterval, *this);
    if (!watched) return Error{"--allow-prefillers-file: " + watched.error().message};
    discovery_ = std::move(*watched);
    return {};
  }
  source_ = "--allow-prefillers";
  std::vector<Endpoint> endpoints;
  for (const std::string& address : flags.addresses) {
    const HostPort parsed = *parse_address(address, "HOST:PORT");
    endpoints.push_back({address, parsed.host, parsed.port});
  }
  on_endpoints(std::move(endpoints));
  return {};
}

void SidecarAllowlist::on_endpoints(std::vector<Endpoint> endpoints) {
  const bool is_first = !allowlist_.settled();
  if (allowlist_.replace_all(entries_of(endpoints)) || is_first) tell();
}

void SidecarAllowlist::on_endpoint_changes(EndpointChanges changes) {
  if (allowlist_.apply(entries_of(changes.put), changes.removed)) tell();
}

void SidecarAllowlist::on_discovery_failed(std::string_view source, std::string_view why) {
  log_warning("the allowlist stays as it is: " + std::string(source) + ": " + std::string(why));
}

// One line for each change, whatever its size.
void SidecarAllowlist::tell() {
  log_info("allowlist_updated: " + std::to_string(allowlist_.size()) + " prefill workers from " +
           source_);
}

}  // namespace kvasir

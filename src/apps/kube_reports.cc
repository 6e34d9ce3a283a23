#include "apps/kube_reports.h"

#include <fmt/format.h>

#include <utility>

#include "net/http/http_status.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

// What stands in `text` between `before` and the next of `ends`; "" when `before` is not there.
std::string_view between(std::string_view text, std::string_view before, std::string_view ends) {
  const size_t at = text.find(before);
  if (at == std::string_view::npos) return {};
  text.remove_prefix(at + before.size());
  return text.substr(0, text.find_first_of(ends));
}

// Of "pods is forbidden: User \"...\" cannot list resource \"pods\" in API group ...".
std::string_view refused_verb(const KubeStatus& status) {
  const std::string_view verb = between(status.message, "cannot ", " ");
  return verb.empty() ? "list and watch" : verb;
}

std::string in_group(const KubeType& type) {
  return type.group.empty() ? "the core group" : "group " + std::string(type.group);
}

// "pods", "inferenceobjectives of llm-d.ai"
std::string plural(const KubeType& type) {
  return std::string(type.plural) + (type.group.empty() ? "" : " of " + std::string(type.group));
}

// As it is typed.
std::string rbac_command(const RbacOptions& rbac, const ObjectKey& account) {
  const RbacOptions usual;
  const std::string& account_namespace =
      account.name_space.empty() ? rbac.account_namespace : account.name_space;
  std::string text = "kvasir kube rbac";
  const auto flag = [&text](const char* name, std::string_view value) {
    text.append(" ").append(name).append(" ").append(value);
  };
  if (!rbac.pool_name.empty()) flag("--pool-name", rbac.pool_name);
  if (!rbac.routes) flag("--pool-namespace", rbac.pool_namespace);
  if (rbac.pool_group != usual.pool_group) flag("--pool-group", rbac.pool_group);
  if (rbac.selector) text += " --endpoint-selector";
  if (!account_namespace.empty() && account_namespace != rbac.pool_namespace) {
    flag("--namespace", account_namespace);
  }
  if (!account.name.empty()) flag("--name", account.name);
  if (rbac.leader_election) text += " --leader-election";
  if (!rbac.peers_service.empty()) flag("--peers-service", rbac.peers_service);
  if (rbac.node_labels) text += " --node-labels";
  if (rbac.endpoints_only) text += " --sidecar";
  if (rbac.routes) text += " --routes";
  if (rbac.metrics_auth) text += " --metrics-endpoint-auth";
  return text + " | kubectl apply -f -";
}

// Of "system:serviceaccount:NAMESPACE:NAME"; both are empty when somebody else asks.
ObjectKey account_of(std::string_view message) {
  const std::string_view account = between(message, "system:serviceaccount:", "\" ");
  const size_t colon = account.find(':');
  if (colon == std::string_view::npos) return {};
  return {std::string(account.substr(0, colon)), std::string(account.substr(colon + 1))};
}

std::string key_of(const KubeType& type) {
  return std::string(type.plural) + "." + std::string(type.group);
}

}  // namespace

std::string forbidden_line(const KubeType& type, const KubeStatus& status,
                           const RbacOptions& rbac) {
  std::string_view name_space = between(status.message, "in the namespace \"", "\"");
  if (name_space.empty()) name_space = rbac.pool_namespace;
  return fmt::format(
      "Kubernetes does not allow this program to {} {} ({}) in {}: what was known of them stays; "
      "to allow it: {} (the server says: {})",
      refused_verb(status), type.plural, in_group(type),
      type.namespaced && !rbac.routes ? "namespace " + std::string(name_space)
                                      : "the whole cluster",
      rbac_command(rbac, account_of(status.message)), status.message);
}

KubeReports::KubeReports(RbacOptions rbac, const Clock& clock)
    : rbac_(std::move(rbac)), clock_(clock) {}

void KubeReports::record(bool warning, const char* reason, const char* action, std::string note) {
  if (events_ == nullptr || !about_) return;
  events_->record(*about_, {warning, reason, action, std::move(note)});
}

void KubeReports::on_synced(const KubeType& type, size_t objects) {
  const std::string key = key_of(type);
  if (troubled_.erase(key) > 0) {
    log_info(fmt::format("Kubernetes: news of {} come again; {} are known", plural(type), objects));
  } else if (known_.insert(key).second) {
    log_info(fmt::format("Kubernetes: {} {} are known", objects, plural(type)));
  }
}

void KubeReports::on_trouble(const KubeType& type, const KubeStatus& status,
                             const std::string& why) {
  troubled_.insert(key_of(type));
  registry_
      .counter("kvasir_kube_troubles_total",
               "Times that news of a kind stopped coming, by the server's reason.",
               {{"kind", std::string(type.kind)},
                {"group", std::string(type.group)},
                {"reason", status.reason.empty() ? "Unreachable" : status.reason}})
      .add();
  if (status.code == kHttpForbidden) {
    const std::string line = forbidden_line(type, status, rbac_);
    log_warning(line);
    return record(true, "PermissionMissing", "Watch", line);
  }
  if (status.code == kHttpNotFound) {
    const std::string line = fmt::format(
        "Kubernetes: no {} of {} is installed in this cluster: without it there are no "
        "{}; install its CustomResourceDefinition",
        type.kind, in_group(type), rbac_.routes ? "routes" : "endpoints");
    log_warning(line);
    return record(true, "KindMissing", "Watch", line);
  }
  log_warning(fmt::format("Kubernetes: no news of {}, what was known of them stays: {}",
                          plural(type), why));
}

void KubeReports::on_object_refused(const KubeType& type, const ObjectKey& key,
                                    const std::string& why) {
  log_repeated(LogLevel::kWarning, "objects of Kubernetes that cannot be read",
               fmt::format("Kubernetes: {} {} is left out: {}", type.kind, to_string(key), why));
}

void KubeReports::on_kind_absent(const KubeType& type) {
  log_info(
      fmt::format("Kubernetes: no {} of {} is installed in this cluster; that is fine when "
                  "nobody uses them",
                  type.kind, in_group(type)));
}

void KubeReports::on_events_lost(const std::string& why) {
  log_warning("Kubernetes: Events cannot be written: " + why +
              "; to allow it: " + rbac_command(rbac_, account_of(why)));
}

void KubeReports::on_leading(bool leads) {
  leads_ = leads;
  log_info(leads ? "this replica leads: it is ready"
                 : "this replica leads no more: it stands by, and is not ready");
}

void KubeReports::on_new_leader(const std::string& identity) {
  log_info("the leader is " + identity);
}

void KubeReports::on_election_trouble(const std::string& why) {
  log_warning("leader election: " + why);
}

void KubeReports::on_configuration_refused(std::string_view error) {
  record(true, "ConfigurationRefused", "Reload",
         "The changed configuration is not used, the one before stays: " + std::string(error));
}

void KubeReports::on_start_refused(std::string_view error) {
  record(true, "ConfigurationRefused", "Start",
         "The program does not start with this configuration: " + std::string(error));
}

void KubeReports::on_manifests_refused(const std::string& why) {
  log_warning("--kube-manifests: objects stay as they were: " + why);
}

void KubeReports::on_manifests_read_again(const std::string& path) {
  log_info("--kube-manifests: " + path + " is read again");
}

void KubeReports::on_pool_missing(const std::string& what) {
  const std::string line =
      "there is no " + what +
      ": endpoints of before stay; at the start there are none until it is made";
  log_warning(line);
  record(true, "InferencePoolMissing", "Discover", line);
}

void KubeReports::on_pool_selects_nothing(const std::string& what) {
  const std::string line =
      what +
      " has no ready pod: see that its selector takes the pods' labels, and that they are "
      "Ready";
  log_warning(line);
  record(true, "NoEndpoints", "Discover", line);
}

void KubeReports::on_pool_serves(const std::string& what) {
  const std::string line = what + " has endpoints again";
  log_info(line);
  record(false, "EndpointsFound", "Discover", line);
}

void KubeReports::note(std::vector<KubeFreshness> freshness) {
  freshness_.with([&](std::vector<KubeFreshness>& now) { now = std::move(freshness); });
}

std::string KubeReports::page() const {
  const auto known = freshness_.with([](const auto& now) { return now; });
  const TimePoint now = clock_.now();
  MetricRegistry page;
  for (const KubeFreshness& one : known) {
    const Labels labels = {
        {"kind", one.kind}, {"api_version", one.api_version}, {"namespace", one.name_space}};
    page.gauge("kvasir_kube_objects", "Objects that are known of a kind.", labels)
        .set(static_cast<double>(one.objects));
    page.gauge("kvasir_kube_synced", "1 from when all objects that there were are known.", labels)
        .set(one.synced ? 1 : 0);
    if (!one.heard_at) continue;
    page.gauge("kvasir_kube_last_heard_age_seconds",
               "Since the API server last said that what is known is up to date.", labels)
        .set(to_seconds(now - *one.heard_at));
  }
  if (rbac_.leader_election) {
    page.gauge("kvasir_kube_leader", "1 while this replica leads.").set(leads_ ? 1 : 0);
  }
  return registry_.expose() + page.expose();
}

}  // namespace kvasir

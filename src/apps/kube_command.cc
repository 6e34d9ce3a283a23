#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/kube_check.h"
#include "apps/kube_flags.h"
#include "apps/kube_get.h"
#include "apps/kube_rbac.h"

namespace kvasir {
namespace {

Result<void> check_names(const RbacOptions& options) {
  for (const auto& good : {check_object_name("--name", options.account),
                           check_label_name("--namespace", options.account_namespace),
                           check_object_name("--pool-name", options.pool_name),
                           check_label_name("--pool-namespace", options.pool_namespace),
                           check_label_name("--peers-service", options.peers_service)}) {
    if (!good) return good.error();
  }
  return {};
}

void add_rbac_command(CLI::App& kube, int& exit_code) {
  CLI::App* command = kube.add_subcommand(
      "rbac", "Print the least RBAC for a picker, gateway or sidecar, for kubectl apply -f -");
  auto options = std::make_shared<RbacOptions>();
  command
      ->add_option("--name", options->account,
                   "Of the ServiceAccount, and of the Role and binding beside it (with --routes:\n"
                   "kvasir-gateway)")
      ->capture_default_str();
  command->add_option("--namespace", options->account_namespace,
                      "Where the program runs (default: the pool's namespace)");
  command->add_option("--pool-name", options->pool_name,
                      "Of leases, allow only this InferencePool's (default: all of the namespace)");
  command->add_option("--pool-namespace", options->pool_namespace, "Of the pool and its pods")
      ->capture_default_str();
  command->add_option("--pool-group", options->pool_group, "The InferencePool's API group")
      ->capture_default_str();
  command
      ->add_flag("--endpoint-selector", options->selector,
                 "The program has --endpoint-selector, so no InferencePool is read")
      ->excludes("--pool-name");
  command->add_flag("--leader-election", options->leader_election,
                    "The program has --ha-enable-leader-election");
  command->add_option("--peers-service", options->peers_service,
                      "The program has --peers-service with this Service");
  command->add_flag("--sidecar", options->endpoints_only,
                    "For kvasir sidecar --inference-pool: the pool and its pods, nothing else");
  command->add_flag(
      "--routes", options->routes,
      "For kvasir gateway --routes-from-cluster: the Gateway API, InferencePools and\n"
      "pods of every namespace, and the conditions that are written there: this takes a\n"
      "ClusterRole");
  command->add_flag("--node-labels", options->node_labels,
                    "Its configuration has a topology plugin, which reads labels of nodes: this\n"
                    "takes a ClusterRole");
  command->add_flag("--metrics-endpoint-auth", options->metrics_auth,
                    "The program has --metrics-endpoint-auth: this takes a ClusterRole, too");
  command->footer(
      "Give what `kvasir epp` or `kvasir gateway` is given, and then, in its pod template,\n"
      "serviceAccountName: kvasir-epp (or what --name says).\n\n"
      "  kvasir kube rbac --pool-name vllm --pool-namespace models | kubectl apply -f -");
  command->callback([command, options, &exit_code] {
    if (options->routes && command->count("--name") == 0) options->account = "kvasir-gateway";
    if (const Result<void> good = check_names(*options); !good) {
      exit_code = fail_command("kube rbac", 2, good.error().message);
      return;
    }
    std::cout << rbac_manifest(*options) << std::flush;
    exit_code = 0;
  });
}

}  // namespace

void add_kube_command(CLI::App& app, int& exit_code) {
  CLI::App* kube = app.add_subcommand("kube", "For running in a Kubernetes cluster");
  kube->require_subcommand(1);
  kube->footer(
      "Start here: kvasir kube rbac --pool-name NAME for a program's permissions,\n"
      "kvasir kube check FOLDER for the objects that it is to read");
  add_kube_check_command(*kube, exit_code);
  add_rbac_command(*kube, exit_code);
  add_kube_get_command(*kube, exit_code);
  add_kube_apply_command(*kube, exit_code);
}

}  // namespace kvasir

#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/kube_check.h"
#include "apps/manifest_files.h"

namespace kvasir {
namespace {

struct KubeCheckFlags {
  std::vector<std::string> paths;
  std::string name_space = "default";
};

int check_files(const KubeCheckFlags& flags) {
  std::vector<Error> unread;
  const std::vector<ManifestFile> files = read_manifest_files(flags.paths, unread);
  int exit_code = 0;
  if (!files.empty()) {
    const KubeCheckReport report = check_manifests(files, flags.name_space);
    std::cout << report.text << std::flush;
    if (report.problems > 0) exit_code = 2;
  }
  for (const Error& error : unread) exit_code = fail_command("kube check", 2, error.message);
  return exit_code;
}

}  // namespace

void add_kube_check_command(CLI::App& kube, int& exit_code) {
  CLI::App* command = kube.add_subcommand(
      "check", "Say which objects of manifests can be used, and what is wrong with the others");
  auto flags = std::make_shared<KubeCheckFlags>();
  command
      ->add_option("FILE", flags->paths,
                   "YAML or JSON with Kubernetes objects, or a folder of .yaml, .yml and .json "
                   "files; - is standard input")
      ->required();
  command
      ->add_option("-n,--namespace", flags->name_space,
                   "Of objects that name no namespace themselves")
      ->capture_default_str();
  command->footer(
      "One line for each object: FILE:LINE KIND NAMESPACE/NAME, and\n"
      "  ok                  Kvasir reads it\n"
      "  problem             Kvasir or the API server refuses it; the lines under it say where and "
      "why\n"
      "  not read by kvasir  of no use to it, and as far as is known in order\n"
      "Notes tell what is left aside, which releases have the kind, and references that lead to no "
      "object of these\n"
      "files. Read are Pod, Service, EndpointSlice, Node, Secret, ConfigMap, Lease, InferencePool "
      "(also the tutorials' of\n"
      "serving.kserve.io), InferenceObjective, InferenceModelRewrite, Namespace, GatewayClass, "
      "Gateway,\n"
      "HTTPRoute and ReferenceGrant.\n"
      "No cluster is asked. Exit code: 0: no problem; 2: at least one, a file that cannot be read, "
      "or no object at all.\n\n"
      "  kvasir kube check deploy/epp pool.yaml\n"
      "  kubectl kustomize deploy/demo | kvasir kube check -\n"
      "  kubectl get inferencepools -o yaml | kvasir kube check -");
  command->callback([flags, &exit_code] { exit_code = check_files(*flags); });
}

}  // namespace kvasir

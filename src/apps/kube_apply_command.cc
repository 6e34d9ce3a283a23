#include <CLI/CLI.hpp>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/duration_flag.h"
#include "apps/kube_apply.h"
#include "apps/number_checks.h"
#include "base/whole_file.h"
#include "kube/kube_config.h"
#include "net/io/event_loop.h"
#include "net/io/system_resolver.h"

namespace kvasir {
namespace {

constexpr size_t kManifestBytesMost = 1024 * 1024;

struct KubeApplyFlags {
  std::vector<std::string> files;
  std::string kubeconfig;
  std::string name_space;
  double wait_s = 0;
};

int apply_files(const KubeApplyFlags& flags) {
  Result<KubeConfig> config = find_kube_config(flags.kubeconfig);
  if (!config) return fail_command("kube apply", 1, config.error().message);
  const std::string name_space = flags.name_space.empty() ? config->name_space : flags.name_space;
  std::vector<ManifestPatch> patches;
  for (const std::string& file : flags.files) {
    const Result<std::string> text = read_whole_file(file, kManifestBytesMost);
    if (!text) return fail_command("kube apply", 2, text.error().message);
    Result<std::vector<ManifestPatch>> read = read_patches(*text, name_space);
    if (!read) return fail_command("kube apply", 2, file + ": " + read.error().message);
    std::move(read->begin(), read->end(), std::back_inserter(patches));
  }
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return fail_command("kube apply", 1, loop.error().message);
  SystemResolver resolver;
  Result<std::unique_ptr<KubeClient>> client =
      KubeClient::create(**loop, resolver, std::move(*config));
  if (!client) return fail_command("kube apply", 1, client.error().message);
  KubeApplyOptions options;
  options.wait = from_seconds(flags.wait_s);
  Result<void> outcome;
  const KubeApply apply(
      **loop, **client, std::move(patches), options,
      [](const std::string& line) { std::cout << line << std::endl; },
      [&](Result<void> done) {
        outcome = std::move(done);
        (*loop)->stop();
      });
  (*loop)->run();
  return outcome ? 0 : fail_command("kube apply", 1, outcome.error().message);
}

}  // namespace

void add_kube_apply_command(CLI::App& kube, int& exit_code) {
  auto flags = std::make_shared<KubeApplyFlags>();
  CLI::App* command = kube.add_subcommand(
      "apply", "Apply manifests of the kinds that kvasir reads, as soon as those are installed");
  command->add_option("files", flags->files, "YAML files")->required();
  command->add_option("--kubeconfig", flags->kubeconfig,
                      "Default: $KUBECONFIG, in a pod its service account, ~/.kube/config");
  command->add_option("-n,--namespace", flags->name_space,
                      "Of objects that name none (default: the pod's, or the context's)");
  add_seconds_flag(*command, "--wait", flags->wait_s,
                   "How long to wait for a kind that is not installed, or for the API server")
      ->check(from_zero());
  command->footer(
      "Server-side apply as field manager kvasir, which takes fields over from others. For "
      "everything\n"
      "else there is kubectl.\n\nExample: kvasir kube apply --wait 60s pool.yaml");
  command->callback([flags, &exit_code] { exit_code = apply_files(*flags); });
}

}  // namespace kvasir

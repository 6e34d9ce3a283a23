#include <CLI/CLI.hpp>
#include <algorithm>
#include <filesystem>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/kube_check.h"
#include "base/whole_file.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {
namespace {

constexpr size_t kFilesMost = 1'000;

struct KubeCheckFlags {
  std::vector<std::string> paths;
  std::string name_space = "default";
};

std::string read_standard_input() {
  std::string text(ManifestLimits().bytes + 1, '\0');
  std::cin.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(std::cin.gcount()));
  return text;
}

// Those that kubectl apply -f FOLDER takes: not of folders below it.
Result<std::vector<std::string>> manifests_in(const std::string& folder) {
  std::vector<std::string> files;
  std::error_code error;
  for (std::filesystem::directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    const std::string ending = at->path().extension().string();
    if (ending != ".yaml" && ending != ".yml" && ending != ".json") continue;
    files.push_back(at->path().string());
    if (files.size() > kFilesMost) {
      return Error{folder + ": more than " + std::to_string(kFilesMost) + " files"};
    }
  }
  if (error) return Error{folder + ": " + error.message()};
  if (files.empty()) return Error{folder + ": no file ends in .yaml, .yml or .json"};
  std::sort(files.begin(), files.end());
  return files;
}

Result<void> add_file(const std::string& path, std::vector<ManifestFile>& files) {
  if (path == "-") {
    files.push_back({"standard input", read_standard_input()});
    return {};
  }
  Result<std::string> text = read_whole_file(path, ManifestLimits().bytes);
  if (!text) return text.error();
  files.push_back({path, std::move(*text)});
  return {};
}

// `unread`: why some could not be.
std::vector<ManifestFile> read_files(const std::vector<std::string>& paths,
                                     std::vector<Error>& unread) {
  std::vector<ManifestFile> files;
  for (const std::string& path : paths) {
    std::vector<std::string> names = {path};
    if (std::error_code error; path != "-" && std::filesystem::is_directory(path, error)) {
      auto found = manifests_in(path);
      if (!found) {
        unread.push_back(found.error());
        continue;
      }
      names = std::move(*found);
    }
    for (const std::string& name : names) {
      if (const Result<void> added = add_file(name, files); !added) {
        unread.push_back(added.error());
      }
    }
  }
  return files;
}

int check_files(const KubeCheckFlags& flags) {
  std::vector<Error> unread;
  const std::vector<ManifestFile> files = read_files(flags.paths, unread);
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
      "serving.kserve.io), InferenceObjective and InferenceModelRewrite.\n"
      "No cluster is asked. Exit code: 0: no problem; 2: at least one, a file that cannot be read, "
      "or no object at all.\n\n"
      "  kvasir kube check deploy/epp pool.yaml\n"
      "  kubectl kustomize deploy/demo | kvasir kube check -\n"
      "  kubectl get inferencepools -o yaml | kvasir kube check -");
  command->callback([flags, &exit_code] { exit_code = check_files(*flags); });
}

}  // namespace kvasir

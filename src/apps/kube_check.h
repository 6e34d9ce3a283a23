// What `kvasir kube check` says about files with Kubernetes objects.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "apps/manifest_files.h"

namespace CLI {
class App;
}

namespace kvasir {

struct KubeCheckReport {
  std::string text;
  size_t problems = 0;  // objects and files that have one; one when there is no object at all
};

// One line for each object, with what is wrong and what is noteworthy under it, and a line that
// counts. References are looked for among all objects of all files.
KubeCheckReport check_manifests(const std::vector<ManifestFile>& files,
                                std::string_view default_namespace);

// Adds `kvasir kube check`.
void add_kube_check_command(CLI::App& kube, int& exit_code);

}  // namespace kvasir

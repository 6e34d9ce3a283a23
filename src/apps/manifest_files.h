// Files with Kubernetes objects, as a command line names them.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"

namespace kvasir {

struct ManifestFile {
  std::string name;  // for people
  std::string text;
};

// A path is a file, a folder (its .yaml, .yml and .json files, as kubectl apply -f has it) or "-"
// for standard input. `unread`: why some could not be read.
std::vector<ManifestFile> read_manifest_files(const std::vector<std::string>& paths,
                                              std::vector<Error>& unread);

}  // namespace kvasir

// Fills the store from YAML files and folders instead of the API server, and follows them as they
// change.
//
// A folder's files are those that end in .yaml, .yml or .json, not in folders below it (as kubectl
// apply -f DIR). A file that cannot be read keeps the objects that it gave before. Lives on the
// loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "kube/object_store.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {

class EventLoop;

struct ManifestWatchOptions {
  std::vector<std::string> paths;  // files and folders
  std::string default_namespace = "default";
  Duration interval = std::chrono::seconds(1);  // zero: they are read once
  size_t files_max = 1'000;
  ManifestLimits limits;
};

class ManifestWatch {
 public:
  // Everything is in the store when this returns. Any problem is an Error with every FILE:LINE:
  // TEXT, and nothing is used. `told`: the same of later changes.
  static Result<std::unique_ptr<ManifestWatch>> start(
      EventLoop& loop, ObjectStore& store, ManifestWatchOptions options,
      std::function<void(const std::string& problem)> told);
  virtual ~ManifestWatch() = default;
};

}  // namespace kvasir

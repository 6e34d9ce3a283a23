// Fills the store from YAML files and folders instead of the API server, and follows them as they
// change.
//
// A folder's files are those that end in .yaml, .yml or .json and do not begin with a dot, not in
// folders below it (as kubectl apply -f DIR). New content counts when two looks in a row found it.
// A file that cannot be read, is empty or has a problem keeps the objects that it gave before, and
// so does a path of the options that is not there any more; those of a file that is deleted from a
// folder are removed. Each object may be in one file only: a file that has another's object is not
// used until it has it no more, or the other lets it go. Kinds that Kvasir does not read are
// skipped. Lives on the loop's thread; long texts are parsed on another.
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
  ManifestLimits limits = {};
};

class ManifestWatch {
 public:
  // Everything is in the store when this returns. Any problem is an Error with every FILE:LINE:
  // TEXT, and nothing is used. `told`: the same of later changes, each once; `read_again`:
  // such a path can be used again. Both references must outlive it; its objects stay in the store
  // when it goes.
  static Result<std::unique_ptr<ManifestWatch>> start(
      EventLoop& loop, ObjectStore& store, ManifestWatchOptions options,
      std::function<void(const std::string& problem)> told,
      std::function<void(const std::string& path)> read_again);
  virtual ~ManifestWatch() = default;

  // Looks now; otherwise the timer does.
  virtual void look() = 0;
};

}  // namespace kvasir

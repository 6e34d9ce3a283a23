// Files with Kubernetes objects: YAML documents or JSON, lists of objects among them.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/remark.h"
#include "base/result.h"
#include "base/value.h"
#include "wire/kube/kube_reader.h"

namespace kvasir {

// One object of a manifest, or what is wrong with it.
struct ManifestObject {
  int line = 0;  // of its first line
  std::string api_version;
  std::string kind;
  // Without a namespace in the file: the default one where the kind is known to have namespaces.
  ObjectKey key;
  KubeObjectPtr object;          // null: not read
  std::vector<Remark> problems;  // with lines
  // False: a kind that Kvasir does not read; `object` is null, and there is no problem.
  bool known = true;
  Value written;  // as it stands in the file
};

struct ManifestLimits {
  size_t bytes = 8 * 1024 * 1024;  // of one file
  size_t values = 1'000'000;       // texts, numbers, lists, maps; aliases expanded
  size_t objects = 10'000;
};

// An object without a namespace is in `default_namespace` when its kind has namespaces. An Error:
// neither YAML nor JSON, or beyond the limits, as "line 3: ...".
Result<std::vector<ManifestObject>> read_manifest(std::string_view text,
                                                  std::string_view default_namespace = "default",
                                                  const ManifestLimits& limits = {});

}  // namespace kvasir

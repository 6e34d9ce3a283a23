// What objects of the same files say about each other: references that lead to nothing, selectors
// that take no pod, objects that are there twice.
#pragma once

#include <string>
#include <vector>

#include "base/remark.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {

struct PlacedObject {
  std::string file;
  ManifestObject object;
};

// What is noteworthy of objects[index] beside the others, with lines of its file.
std::vector<Remark> reference_notes(const std::vector<PlacedObject>& objects, size_t index,
                                    std::string_view default_namespace);

}  // namespace kvasir

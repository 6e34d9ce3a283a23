// KV folders that two engines are meant to share and do not: vLLM's ExampleConnector moves KV
// through a folder, and an emptyDir, like a container's own file system, is of one pod.
#pragma once

#include <string_view>
#include <vector>

#include "apps/kube_references.h"
#include "base/remark.h"

namespace kvasir {

// What is noteworthy of objects[index] beside the others. Nothing of a folder that several engines
// of one pod use, or that no other pod of these files uses.
std::vector<Remark> kv_folder_notes(const std::vector<PlacedObject>& objects, size_t index,
                                    std::string_view default_namespace);

}  // namespace kvasir

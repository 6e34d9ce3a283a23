// Objects that are written nearly as Kvasir reads them: kinds under a wrong group, version or name,
// fields that their kind does not have.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/remark.h"
#include "wire/kube/kube_manifest.h"

namespace kvasir {

// Of an object that is not read: what to write so that it is. nullopt: it is another kind, which
// may be in order. Kinds that only Kvasir's groups have are known wherever they stand; others, as
// Service or Lease, only where the group is one of those that are read.
std::optional<std::string> meant_kind(const ManifestObject& object);

// Of an InferencePool, InferenceObjective or InferenceModelRewrite: the fields of its spec that its
// version does not have, with lines; the first 32.
std::vector<Remark> unknown_fields(const ManifestObject& object);

}  // namespace kvasir

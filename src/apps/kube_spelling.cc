#include "apps/kube_spelling.h"

#include <algorithm>
#include <string_view>

#include "apps/kube_advice.h"
#include "base/nearest_name.h"
#include "base/text.h"
#include "wire/kube/kube_types.h"

namespace kvasir {
namespace {

constexpr std::string_view kInference = "Inference";

std::string in_lower_case(std::string_view text) {
  std::string lower;
  for (const char c : text) lower += lower_case(c);
  return lower;
}

// But for case, and for the s of a plural.
bool is_nearly(std::string_view kind, std::string_view known) {
  const std::string written = in_lower_case(kind);
  const std::string wanted = in_lower_case(known);
  return written == wanted || written == wanted + "s";
}

// Kinds of the inference extension begin alike, so each half is compared by itself:
// InferenceService and InferencePoolImport are kinds of others.
bool is_nearly_inference(std::string_view kind, std::string_view known) {
  const std::string_view tail = known.substr(kInference.size());
  if (in_lower_case(kind).starts_with(in_lower_case(kInference))) {
    return !nearest_name(kind.substr(kInference.size()), {tail}).empty();
  }
  if (!in_lower_case(kind).ends_with(in_lower_case(tail))) return false;
  return !nearest_name(kind.substr(0, kind.size() - tail.size()), {kInference}).empty();
}

bool is_read_group(std::string_view group) {
  const auto types = kube_types();
  return std::any_of(types.begin(), types.end(),
                     [&](const KubeType& type) { return type.group == group; });
}

const KubeType* meant_type(const ManifestObject& object) {
  const bool is_ours = is_read_group(group_of(object));
  for (const KubeType& type : kube_types()) {
    const bool is_inference = type.kind.starts_with(kInference);
    if (type.kind == object.kind && (is_ours || is_inference)) return &type;
  }
  if (!is_ours) return nullptr;
  for (const KubeType& type : kube_types()) {
    if (is_nearly(object.kind, type.kind)) return &type;
    if (type.kind.starts_with(kInference) && is_nearly_inference(object.kind, type.kind)) {
      return &type;
    }
  }
  return nullptr;
}

}  // namespace

std::optional<std::string> meant_kind(const ManifestObject& object) {
  if (object.known) return std::nullopt;
  const KubeType* meant = meant_type(object);
  if (meant == nullptr) return std::nullopt;
  const std::string kind = "kind: " + std::string(meant->kind);
  if (find_kube_type(object.api_version, meant->kind) != nullptr) {
    return "no such kind: did you mean " + kind + "?";
  }
  return "no such kind in that version: did you mean " + meant->api_version() +
         (meant->kind == object.kind ? "" : ", " + kind) + "?";
}

}  // namespace kvasir

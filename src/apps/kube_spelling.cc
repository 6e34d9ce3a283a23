#include "apps/kube_spelling.h"

#include <algorithm>
#include <span>
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

// Paths below spec, through lists. What is below one with a '*' is not looked at.
constexpr std::string_view kPoolFields[] = {"selector",
                                            "selector.matchLabels*",
                                            "targetPorts",
                                            "targetPorts.number",
                                            "appProtocol",
                                            "endpointPickerRef",
                                            "endpointPickerRef.group",
                                            "endpointPickerRef.kind",
                                            "endpointPickerRef.name",
                                            "endpointPickerRef.port",
                                            "endpointPickerRef.port.number",
                                            "endpointPickerRef.failureMode"};
constexpr std::string_view kOldPoolFields[] = {"selector*",
                                               "targetPortNumber",
                                               "extensionRef",
                                               "extensionRef.group",
                                               "extensionRef.kind",
                                               "extensionRef.name",
                                               "extensionRef.portNumber",
                                               "extensionRef.failureMode"};
// The tutorials' pool has these besides; most of them are left aside with notes of their own.
constexpr std::string_view kTutorialPoolFields[] = {"selector.matchExpressions",
                                                    "selector.matchExpressions.key",
                                                    "selector.matchExpressions.operator",
                                                    "selector.matchExpressions.values",
                                                    "modelName*",
                                                    "routingPolicy*",
                                                    "disaggregation*",
                                                    "healthCheck*",
                                                    "autoscaling*"};
constexpr std::string_view kPoolRefFields[] = {"poolRef", "poolRef.group", "poolRef.kind",
                                               "poolRef.name"};
constexpr std::string_view kObjectiveFields[] = {"priority"};
constexpr std::string_view kRewriteFields[] = {"rules",
                                               "rules.matches",
                                               "rules.matches.model",
                                               "rules.matches.model.type",
                                               "rules.matches.model.value",
                                               "rules.targets",
                                               "rules.targets.modelRewrite",
                                               "rules.targets.weight"};

// None: of another kind.
std::vector<std::string_view> fields_of(const KubeType& type) {
  std::vector<std::string_view> fields;
  const auto add = [&](std::span<const std::string_view> more) {
    fields.insert(fields.end(), more.begin(), more.end());
  };
  if (type.as == KubeKind::kInferencePool) {
    if (type.version == "v1alpha2") {
      add(kOldPoolFields);
    } else {
      add(kPoolFields);
      if (type.group == "serving.kserve.io") add(kTutorialPoolFields);
    }
  } else if (type.as == KubeKind::kInferenceObjective) {
    add(kPoolRefFields);
    add(kObjectiveFields);
  } else if (type.as == KubeKind::kInferenceModelRewrite) {
    add(kPoolRefFields);
    add(kRewriteFields);
  }
  return fields;
}

class FieldCheck {
 public:
  explicit FieldCheck(std::vector<std::string_view> fields) : fields_(std::move(fields)) {}

  // `path`: of `value`, with a dot behind it; empty: it is the spec. `line`: of values without one.
  void look(const Value& value, const std::string& path, int line) {
    if (value.line() > 0) line = value.line();
    if (const Value::List* list = value.list()) {
      for (const Value& element : *list) look(element, path, line);
    }
    if (value.map() == nullptr) return;
    for (const auto& [key, entry] : *value.map()) {
      const int place = entry.line() > 0 ? entry.line() : line;
      const std::string below = path + key;
      if (is_field(below)) {
        look(entry, below + ".", place);
      } else if (!is_field(below + "*") && notes_.size() < kNotesMost) {
        notes_.push_back({place, "spec." + path + key.substr(0, 64) + ": unknown, left aside" +
                                     did_you_mean(key, names_below(path))});
      }
    }
  }

  std::vector<Remark> take() { return std::move(notes_); }

 private:
  static constexpr size_t kNotesMost = 32;

  bool is_field(std::string_view path) const {
    return std::find(fields_.begin(), fields_.end(), path) != fields_.end();
  }

  std::vector<std::string_view> names_below(std::string_view path) const {
    std::vector<std::string_view> names;
    for (std::string_view field : fields_) {
      if (!field.starts_with(path)) continue;
      field.remove_prefix(path.size());
      if (field.ends_with('*')) field.remove_suffix(1);
      if (field.find('.') == std::string_view::npos) names.push_back(field);
    }
    return names;
  }

  const std::vector<std::string_view> fields_;
  std::vector<Remark> notes_;
};

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

std::vector<Remark> unknown_fields(const ManifestObject& object) {
  const KubeType* type = find_kube_type(object.api_version, object.kind);
  const Value* spec = object.written.find("spec");
  if (type == nullptr || spec == nullptr || spec->map() == nullptr) return {};
  std::vector<std::string_view> fields = fields_of(*type);
  if (fields.empty()) return {};
  FieldCheck check(std::move(fields));
  check.look(*spec, "", object.line);
  return check.take();
}

}  // namespace kvasir

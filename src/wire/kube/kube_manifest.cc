#include "wire/kube/kube_manifest.h"

#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <utility>
#include <variant>

#include "base/text.h"
#include "wire/json/json_value.h"
#include "wire/json/text_encoding.h"
#include "wire/kube/kube_object_reader.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

// "[12]" at the begin of `path`: the element, and `path` behind it.
const Value* step_into_list(const Value& value, std::string_view& path) {
  size_t index = 0;
  const auto parsed = std::from_chars(path.data() + 1, path.data() + path.size(), index);
  const auto* list = value.list();
  if (parsed.ec != std::errc() || list == nullptr || index >= list->size()) return nullptr;
  path.remove_prefix(static_cast<size_t>(parsed.ptr - path.data()) + 1);
  return &(*list)[index];
}

// "key" at the begin of `path`, the longest that fits: keys may have dots.
const Value* step_into_map(const Value& value, std::string_view& path) {
  const Value* found = nullptr;
  size_t length = 0;
  const auto* map = value.map();
  if (map == nullptr) return nullptr;
  for (const auto& [key, entry] : *map) {
    if (key.size() < length || path.substr(0, key.size()) != key) continue;
    if (key.size() < path.size() && path[key.size()] != '.' && path[key.size()] != '[') continue;
    found = &entry;
    length = key.size();
  }
  path.remove_prefix(std::min(length, path.size()));
  return found;
}

// Of the value that a problem's path leads to, or of the last one on the way.
int line_of(const Value& object, std::string_view path) {
  const Value* value = &object;
  int line = object.line();
  while (!path.empty()) {
    const Value* next =
        path.front() == '[' ? step_into_list(*value, path) : step_into_map(*value, path);
    if (next == nullptr) break;
    value = next;
    if (value->line() > 0) line = value->line();  // nothing has none
    if (!path.empty() && path.front() == '.') path.remove_prefix(1);
  }
  return line;
}

std::string text_in(const Value& map, std::string_view key) {
  const Value* value = map.find(key);
  return value != nullptr && value->text() != nullptr ? *value->text() : std::string();
}

class ManifestReader {
 public:
  ManifestReader(std::string_view default_namespace, const ManifestLimits& limits)
      : default_namespace_(default_namespace), limits_(limits) {}

  // `type`: of the items of a list that names it; null: its own. `line`: of a value that has none,
  // since it is nothing. False: too many.
  bool read(const Value& value, const KubeType* type = nullptr, int line = 1) {
    if (const Value::List* items = items_of(value)) return read_items(value, *items);
    if (objects_.size() >= limits_.objects) return false;
    ManifestObject& object = objects_.emplace_back();
    object.line = value.line() > 0 ? value.line() : line;
    object.written = value;
    read_object(value, type, object);
    return true;
  }

  std::vector<ManifestObject> take() { return std::move(objects_); }

 private:
  static const Value::List* items_of(const Value& value) {
    const Value* items = value.find("items");
    return items != nullptr && text_in(value, "kind").ends_with("List") ? items->list() : nullptr;
  }

  bool read_items(const Value& list, const Value::List& items) {
    const std::string kind = text_in(list, "kind");
    const KubeType* type =
        find_kube_type(text_in(list, "apiVersion"), kind.substr(0, kind.size() - 4));
    return std::all_of(items.begin(), items.end(),
                       [&](const Value& item) { return read(item, type, list.line()); });
  }

  void read_object(const Value& value, const KubeType* type, ManifestObject& object) {
    if (value.map() == nullptr) {
      object.problems.push_back({object.line, "must be a map with apiVersion and kind, not " +
                                                  std::string(value.kind())});
      return;
    }
    name_object(value, type, object);
    const KubeType* own = find_kube_type(object.api_version, object.kind);
    if (own != nullptr) type = own;
    if (object.problems.empty() && type == nullptr) object.known = false;
    if (object.problems.empty() && type != nullptr) read_known(value, *type, object);
  }

  void name_object(const Value& value, const KubeType* type, ManifestObject& object) {
    object.api_version = text_in(value, "apiVersion");
    object.kind = text_in(value, "kind");
    if (type != nullptr && object.kind.empty()) object.kind = type->kind;
    if (type != nullptr && object.api_version.empty()) object.api_version = type->api_version();
    if (const Value* meta = value.find("metadata")) {
      object.key = {text_in(*meta, "namespace"), text_in(*meta, "name")};
    }
    if (object.api_version.empty()) object.problems.push_back({object.line, "apiVersion: missing"});
    if (object.kind.empty()) object.problems.push_back({object.line, "kind: missing"});
  }

  void read_known(const Value& value, const KubeType& type, ManifestObject& object) {
    json_.clear();
    append_json(value, json_);
    const size_t size = json_.size();
    json_.append(simdjson::SIMDJSON_PADDING, '\0');
    simdjson::dom::element element;
    const auto error = parser_.parse(json_.data(), size, false).get(element);
    if (error != simdjson::SUCCESS) {
      object.problems.push_back({object.line, simdjson::error_message(error)});
      return;
    }
    std::vector<KubeProblem> problems;
    const KubeField field(element, problems);
    object.object = read_kube_object(field, type, default_namespace_);
    object.key = object_key(field, type, default_namespace_);
    for (const KubeProblem& problem : problems) {
      object.problems.push_back({line_of(value, problem.path), to_string(problem)});
    }
  }

  const std::string_view default_namespace_;
  const ManifestLimits& limits_;
  std::vector<ManifestObject> objects_;
  simdjson::dom::parser parser_;
  std::string json_;
};

using Documents = std::variant<std::vector<Value>, Remark>;

Documents manifest_documents(std::string_view text, const ManifestLimits& limits) {
  const std::string_view begin = trimmed(text.substr(0, 4096), kJsonSpace);
  if (!begin.empty() && (begin.front() == '{' || begin.front() == '[') && is_json(text)) {
    auto parsed = parse_json_value(text, limits.values);
    if (Value* value = std::get_if<Value>(&parsed)) {
      std::vector<Value> documents;
      documents.push_back(std::move(*value));
      return documents;
    }
    return std::get<Remark>(std::move(parsed));
  }
  return parse_yaml_documents(text, {limits.bytes, limits.values});
}

// The line of the first byte that is not UTF-8; 0: all is.
int line_of_bad_utf8(std::string_view text) {
  int line = 1;
  while (!text.empty()) {
    const size_t length =
        static_cast<unsigned char>(text[0]) < 0x80 ? 1 : utf8_sequence_length(text);
    if (length == 0) return line;
    if (text[0] == '\n') ++line;
    text.remove_prefix(length);
  }
  return 0;
}

}  // namespace

Result<std::vector<ManifestObject>> read_manifest(std::string_view text,
                                                  std::string_view default_namespace,
                                                  const ManifestLimits& limits) {
  if (text.size() > limits.bytes) {
    return Error{"longer than " + std::to_string(limits.bytes / 1024) + " KiB"};
  }
  if (const int line = line_of_bad_utf8(text); line > 0) {
    return Error{to_string(Remark{line, "not UTF-8"})};
  }
  const Documents documents = manifest_documents(text, limits);
  if (const Remark* problem = std::get_if<Remark>(&documents)) return Error{to_string(*problem)};
  ManifestReader reader(default_namespace, limits);
  for (const Value& document : std::get<std::vector<Value>>(documents)) {
    if (!reader.read(document)) {
      return Error{"more than " + std::to_string(limits.objects) + " objects"};
    }
  }
  return reader.take();
}

}  // namespace kvasir

#include "apps/kube_kv_folders.h"

#include <algorithm>
#include <string>

#include "apps/kube_advice.h"

namespace kvasir {
namespace {

constexpr std::string_view kFolderConnectors[] = {"ExampleConnector", "SharedStorageConnector"};
constexpr std::string_view kFolderKey = "shared_storage_path";
constexpr std::string_view kFolderDefault = "/tmp";

const Value::List& list_at(const Value& value, std::string_view key) {
  static const Value::List kNone;
  const Value* const found = value.find(key);
  return found != nullptr && found->list() != nullptr ? *found->list() : kNone;
}

std::string text_at(const Value& value, std::string_view key) {
  const Value* const found = value.find(key);
  return found != nullptr && found->text() != nullptr ? *found->text() : std::string();
}

// The folder that a command line names; whatever quotes stand around it there.
std::string folder_in(std::string_view words) {
  const size_t key = words.find(kFolderKey);
  if (key == std::string_view::npos) return std::string(kFolderDefault);
  std::string_view rest = words.substr(key + kFolderKey.size());
  rest.remove_prefix(std::min(rest.find_first_not_of("\"'\\: "), rest.size()));
  std::string folder(rest.substr(0, rest.find_first_of("\"'\\}, ")));
  while (folder.size() > 1 && folder.back() == '/') folder.pop_back();
  return folder;
}

// A folder of one pod through which KV is to go.
struct KvFolder {
  std::string path;
  size_t engines = 0;        // containers that use it
  bool is_the_pods = false;  // an emptyDir, or no volume at all
  bool is_empty_dir = false;
  int line = 0;
};

bool lies_in(std::string_view path, std::string_view mount) {
  if (!path.starts_with(mount)) return false;
  return path.size() == mount.size() || mount.ends_with('/') || path[mount.size()] == '/';
}

// The volume of a pod's `spec` under a container's path; null: the container's own file system.
const Value* volume_at(const Value& spec, const Value& container, std::string_view path) {
  std::string mount, name;
  for (const Value& each : list_at(container, "volumeMounts")) {
    const std::string at = text_at(each, "mountPath");
    if (at.empty() || !lies_in(path, at) || at.size() < mount.size()) continue;
    mount = at;
    name = text_at(each, "name");
  }
  for (const Value& volume : list_at(spec, "volumes")) {
    if (!name.empty() && text_at(volume, "name") == name) return &volume;
  }
  return nullptr;
}

std::string command_line_of(const Value& container) {
  std::string words;
  for (const char* list : {"command", "args"}) {
    for (const Value& word : list_at(container, list)) {
      if (word.text() != nullptr) words += *word.text() + " ";
    }
  }
  return words;
}

std::vector<KvFolder> kv_folders_of(const ManifestObject& object) {
  std::vector<KvFolder> folders;
  const Value* const spec =
      find_path(object.written, object.kind == "Pod" ? "spec" : "spec.template.spec");
  if (spec == nullptr) return folders;
  for (const Value& container : list_at(*spec, "containers")) {
    const std::string words = command_line_of(container);
    const auto is_named = [&words](std::string_view name) {
      return words.find(name) != std::string::npos;
    };
    if (std::none_of(std::begin(kFolderConnectors), std::end(kFolderConnectors), is_named))
      continue;
    KvFolder folder{folder_in(words)};
    const Value* const volume = volume_at(*spec, container, folder.path);
    folder.is_empty_dir = volume != nullptr && volume->find("emptyDir") != nullptr;
    folder.is_the_pods = volume == nullptr || folder.is_empty_dir;
    folder.line = volume != nullptr ? volume->line() : container.line();
    const auto same = [&folder](const KvFolder& other) { return other.path == folder.path; };
    const auto known = std::find_if(folders.begin(), folders.end(), same);
    KvFolder& counted = known != folders.end() ? *known : folders.emplace_back(std::move(folder));
    ++counted.engines;
  }
  return folders;
}

std::string name_space_of(const ManifestObject& object, std::string_view default_namespace) {
  return object.key.name_space.empty() ? std::string(default_namespace) : object.key.name_space;
}

}  // namespace

std::vector<Remark> kv_folder_notes(const std::vector<PlacedObject>& objects, size_t index,
                                    std::string_view default_namespace) {
  std::vector<Remark> notes;
  const ManifestObject& self = objects[index].object;
  for (const KvFolder& folder : kv_folders_of(self)) {
    if (!folder.is_the_pods || folder.engines > 1) continue;
    for (size_t i = 0; i < objects.size(); ++i) {
      const ManifestObject& other = objects[i].object;
      if (i == index ||
          name_space_of(other, default_namespace) != name_space_of(self, default_namespace)) {
        continue;
      }
      const std::vector<KvFolder> theirs = kv_folders_of(other);
      const auto shares = [&folder](const KvFolder& one) {
        return one.path == folder.path && one.engines == 1;
      };
      if (std::none_of(theirs.begin(), theirs.end(), shares)) continue;
      notes.push_back(
          {folder.line > 0 ? folder.line : self.line,
           (folder.is_empty_dir ? "the emptyDir at " : "there is no volume at ") + folder.path +
               (folder.is_empty_dir ? " is this pod's own" : ", so it is this pod's own") +
               ", and " + other.kind + " " + to_string(other.key) +
               " has another one there: ExampleConnector transfers nothing between them, without a "
               "word. Give both one hostPath (on one node) or one ReadWriteMany claim, or put both "
               "engines into one pod"});
      break;
    }
  }
  return notes;
}

}  // namespace kvasir

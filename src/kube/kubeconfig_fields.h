// Reads fields of kubeconfig files and says of what is wrong where it stands: "FILE: line 12:
// users[admin].user.client-key-data: ...". Private to kube/.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/value.h"

namespace kvasir {

struct KubeconfigFile {
  std::string name;
  std::string folder;
  Value value;
};

// The fields of one map of a file. A field that is absent, or that is wrong, reads as empty; the
// first problem of all is kept in `problem`, which must outlive this, as must the file. No problem
// quotes a value.
class KubeconfigFields {
 public:
  // `map`: null when there is nothing.
  KubeconfigFields(const KubeconfigFile& file, std::string path, const Value* map,
                   std::optional<Error>& problem)
      : file_(file), path_(std::move(path)), map_(map), problem_(problem) {}

  bool has(const std::string& key) const { return find(key) != nullptr; }
  std::string text(const std::string& key) const;
  std::string required_text(const std::string& key) const;
  bool flag(const std::string& key) const;
  // A file's name, seen from the kubeconfig's folder.
  std::string file(const std::string& key) const;
  // A program's: the same when it has a slash.
  std::string command(const std::string& key) const;
  std::string base64(const std::string& key) const;
  std::vector<std::string> texts(const std::string& key) const;
  // A list of maps with `name` and `value`.
  std::vector<std::pair<std::string, std::string>> pairs(const std::string& key) const;
  KubeconfigFields inside(const std::string& key) const;
  // Of the list `extensions` the one with this name, as JSON; empty: there is none.
  std::string extension_json(const std::string& name) const;

  // The field is a problem where it says anything: kubectl writes empty ones.
  void refuse(const std::string& key, const std::string& why) const;
  // `key` empty: the map as a whole.
  void fail(const std::string& key, const std::string& why) const;

 private:
  // Null: absent, or null in the file.
  const Value* find(const std::string& key) const;
  void fail_at(int line, const std::string& path, const std::string& why) const;

  const KubeconfigFile& file_;
  std::string path_;
  const Value* map_;
  std::optional<Error>& problem_;
};

// Files that count as one: of each name the entry of the first file that has it.
class KubeconfigFiles {
 public:
  void add(KubeconfigFile file) { files_.push_back(std::move(file)); }

  std::string names() const;  // "FILE, FILE"
  std::string current_context() const;
  // What there is in a list, for people: "contexts: a, b".
  std::string choices(const std::string& list) const;
  // The map `inner` of the entry `name` of `list`. None: the problem, and a map without fields.
  KubeconfigFields entry(const std::string& list, const std::string& inner, const std::string& name,
                         std::optional<Error>& problem) const;

 private:
  std::vector<KubeconfigFile> files_;
  KubeconfigFile none_;
};

}  // namespace kvasir

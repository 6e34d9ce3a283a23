// What all Kubernetes objects have in common, as far as Kvasir reads them. Objects are values of
// plain fields: what a reader of wire/kube/kube_reader.h did not ask for is not kept.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

namespace kvasir {

struct KubeType;

// Names one object among those of its kind. Objects that belong to no namespace (Node) have an
// empty one.
struct ObjectKey {
  std::string name_space;
  std::string name;

  auto operator<=>(const ObjectKey&) const = default;
};

// "NAMESPACE/NAME", or the name alone.
std::string to_string(const ObjectKey& key);

struct ObjectMeta {
  std::string name;
  std::string name_space;
  std::string uid;
  std::string resource_version;  // opaque; empty when the object came from a file
  int64_t created_seconds = 0;   // since 1970; 0: unknown
  bool deleting = false;         // deletionTimestamp is set
  std::map<std::string, std::string> labels;
  std::map<std::string, std::string> annotations;

  ObjectKey key() const { return {name_space, name}; }
  const std::string* label(const std::string& key) const;
  const std::string* annotation(const std::string& key) const;
};

// The base of wire/kube/kube_objects.h. Never changes once it is read.
struct KubeObject {
  virtual ~KubeObject() = default;

  // How it was written: the same C++ type may be read from several groups and versions.
  const KubeType* type = nullptr;
  ObjectMeta meta;

 protected:
  KubeObject() = default;
  KubeObject(const KubeObject&) = default;
  KubeObject& operator=(const KubeObject&) = default;
};

}  // namespace kvasir

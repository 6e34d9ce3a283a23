#include "wire/kube/kube_object.h"

namespace kvasir {
namespace {

const std::string* find_in(const std::map<std::string, std::string>& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? nullptr : &found->second;
}

}  // namespace

std::string to_string(const ObjectKey& key) {
  return key.name_space.empty() ? key.name : key.name_space + "/" + key.name;
}

const std::string* ObjectMeta::label(const std::string& key) const {
  return find_in(labels, key);
}

const std::string* ObjectMeta::annotation(const std::string& key) const {
  return find_in(annotations, key);
}

}  // namespace kvasir

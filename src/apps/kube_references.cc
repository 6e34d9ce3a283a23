#include "apps/kube_references.h"

#include <algorithm>
#include <set>

#include "apps/kube_advice.h"

namespace kvasir {
namespace {

class References {
 public:
  References(const std::vector<PlacedObject>& objects, size_t index,
             std::string_view default_namespace)
      : objects_(objects), index_(index), default_namespace_(default_namespace) {}

  std::vector<Remark> take() {
    check_repetition();
    if (const KubeObject* object = self().object.get()) {
      switch (object->type->as) {
        case KubeKind::kInferencePool:
          check_picker(static_cast<const InferencePool&>(*object));
          check_selector(static_cast<const InferencePool&>(*object));
          break;
        case KubeKind::kInferenceObjective:
          check_pool(static_cast<const InferenceObjective&>(*object).pool);
          break;
        case KubeKind::kInferenceModelRewrite:
          check_pool(static_cast<const InferenceModelRewrite&>(*object).pool);
          break;
        default:
          break;
      }
    }
    return std::move(notes_);
  }

 private:
  const ManifestObject& self() const { return objects_[index_].object; }

  void note(std::string_view path, std::string text) {
    const Value* value = find_path(self().written, path);
    notes_.push_back({value != nullptr ? value->line() : self().line, std::move(text)});
  }

  std::string name_space_of(const ManifestObject& object) const {
    return object.known                    ? object.key.name_space
           : object.key.name_space.empty() ? std::string(default_namespace_)
                                           : object.key.name_space;
  }

  void check_repetition() {
    for (size_t i = 0; i < index_; ++i) {
      const ManifestObject& other = objects_[i].object;
      const bool same = other.kind == self().kind && group_of(other) == group_of(self()) &&
                        other.key == self().key && !self().key.name.empty();
      if (!same) continue;
      return note("", "is already at " + objects_[i].file + ":" + std::to_string(other.line) +
                          ": the last one counts");
    }
  }

  template <class T, class F>
  const T* find(F&& fits) const {
    for (const PlacedObject& placed : objects_) {
      const KubeObject* object = placed.object.object.get();
      if (object == nullptr || object->type->as != T::kKind) continue;
      if (fits(static_cast<const T&>(*object))) return static_cast<const T*>(object);
    }
    return nullptr;
  }

  void check_pool(const PoolRef& ref) {
    if (ref.kind != "InferencePool") {
      return note("spec.poolRef.kind", "spec.poolRef: a " + ref.kind + " is not looked for");
    }
    const ObjectKey key{self().key.name_space, ref.name};
    const auto same = [&](const InferencePool& pool) {
      return pool.meta.key() == key && pool.type->group == ref.group;
    };
    if (find<InferencePool>(same) != nullptr) return;
    const InferencePool* other =
        find<InferencePool>([&](const InferencePool& pool) { return pool.meta.key() == key; });
    note("spec.poolRef",
         other == nullptr ? "spec.poolRef: no InferencePool " + to_string(key) + " in these files"
                          : "spec.poolRef: the InferencePool " + to_string(key) +
                                " is in the group " + std::string(other->type->group) +
                                "; write group: " + std::string(other->type->group));
  }

  const Service* picker_service(const InferencePool& pool) const {
    if (!pool.picker) return nullptr;
    const ObjectKey key{pool.meta.name_space, pool.picker->name};
    return find<Service>([&](const Service& other) { return other.meta.key() == key; });
  }

  void check_picker(const InferencePool& pool) {
    if (!pool.picker || pool.picker->kind != "Service" || !pool.picker->group.empty()) return;
    const std::string path =
        pool.type->version == "v1alpha2" ? "spec.extensionRef" : "spec.endpointPickerRef";
    const ObjectKey key{pool.meta.name_space, pool.picker->name};
    const Service* service = picker_service(pool);
    if (service == nullptr) {
      return note(path, path + ": no Service " + to_string(key) + " in these files");
    }
    const auto port = std::find_if(
        service->ports.begin(), service->ports.end(),
        [&](const ServicePort& other) { return other.port == pool.picker->port.value_or(0); });
    if (pool.picker->port && port == service->ports.end()) {
      note(path, path + ": the Service " + to_string(key) + " has no port " +
                     std::to_string(*pool.picker->port));
    }
  }

  static std::map<std::string, std::string> labels_of(const Value& map) {
    std::map<std::string, std::string> labels;
    for (const auto& [key, value] : *map.map()) {
      if (value.text() != nullptr) labels.emplace(key, *value.text());
    }
    return labels;
  }

  // Only where there are pods in the files beside the picker's: most often they are elsewhere.
  void check_selector(const InferencePool& pool) {
    const Service* picker = picker_service(pool);
    bool pods = false;
    bool takes_some = false;
    for (const PlacedObject& placed : objects_) {
      const Value* labels = pod_labels_of(placed.object);
      if (labels == nullptr || name_space_of(placed.object) != pool.meta.name_space) continue;
      const auto own = labels_of(*labels);
      if (!selects(pool, own)) {
        pods |= picker == nullptr || !takes(*picker, own);
        continue;
      }
      takes_some = true;
      check_ports(pool, placed.object);
    }
    if (pods && !takes_some) {
      note("spec.selector",
           "spec.selector: takes none of the pods of " + pool.meta.name_space + " in these files");
    }
  }

  static bool takes(const Service& service, const std::map<std::string, std::string>& labels) {
    return !service.selector.empty() &&
           std::includes(labels.begin(), labels.end(), service.selector.begin(),
                         service.selector.end());
  }

  // What containers say of their ports is for people, and may be left out.
  void check_ports(const InferencePool& pool, const ManifestObject& pods) {
    const std::set<int64_t> named = container_ports_of(pods);
    const auto is_named = [&](uint16_t port) { return named.contains(port); };
    const auto& wanted = pool.target_ports;
    if (named.empty() || std::any_of(wanted.begin(), wanted.end(), is_named)) return;
    const std::string path =
        pool.type->version == "v1alpha2" ? "spec.targetPortNumber" : "spec.targetPorts";
    note(path, path + ": the containers of " + pods.kind + " " + pods.key.name + " name port " +
                   joined(named) + ", not " + joined(wanted));
  }

  static std::set<int64_t> container_ports_of(const ManifestObject& pods) {
    std::set<int64_t> numbers;
    const Value* spec = find_path(pods.written, pods.kind == "Pod" ? "spec" : "spec.template.spec");
    if (spec == nullptr) return numbers;
    for (const char* list : {"containers", "initContainers"}) {  // sidecars are among the latter
      for (const Value& container : elements(spec->find(list))) {
        for (const Value& port : elements(container.find("ports"))) {
          const Value* number = port.find("containerPort");
          if (number != nullptr && number->integer()) numbers.insert(*number->integer());
        }
      }
    }
    return numbers;
  }

  static const Value::List& elements(const Value* list) {
    static const Value::List kNone;
    return list != nullptr && list->list() != nullptr ? *list->list() : kNone;
  }

  static std::string joined(const auto& numbers) {
    std::string text;
    for (const auto number : numbers) text += (text.empty() ? "" : ", ") + std::to_string(number);
    return text;
  }

  const std::vector<PlacedObject>& objects_;
  const size_t index_;
  const std::string_view default_namespace_;
  std::vector<Remark> notes_;
};

}  // namespace

std::vector<Remark> reference_notes(const std::vector<PlacedObject>& objects, size_t index,
                                    std::string_view default_namespace) {
  return References(objects, index, default_namespace).take();
}

}  // namespace kvasir

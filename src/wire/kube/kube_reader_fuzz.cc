// Any bytes as a list, as an event of a watch, as one object and as a Status, of every type: never
// read out of bounds; and what is read of an object holds what readers promise.
#include <cstdint>
#include <cstdlib>

#include "wire/kube/kube_reader.h"

namespace {

void check(const kvasir::KubeObjectPtr& object) {
  if (object == nullptr) return;
  if (object->type == nullptr || object->meta.name.empty()) std::abort();
  if (object->type->namespaced == object->meta.name_space.empty()) std::abort();
  if (object->type->as != kvasir::KubeKind::kInferencePool) return;
  const auto& pool = static_cast<const kvasir::InferencePool&>(*object);
  if (pool.target_ports.empty() || pool.target_ports.size() > 8) std::abort();
  static_cast<void>(selects(pool, object->meta.labels));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static kvasir::KubeReader reader;
  if (size == 0) return 0;
  const auto types = kvasir::kube_types();
  const kvasir::KubeType& type = types[data[0] % types.size()];
  const std::string_view json(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (const auto page = reader.read_list(json, type)) {
    for (const auto& object : page->objects) check(object);
  }
  if (const auto event = reader.read_event(json, type)) check(event->object);
  if (const auto object = reader.read_object(json)) check(*object);
  static_cast<void>(reader.read_status(json));
  return 0;
}

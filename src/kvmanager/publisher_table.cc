#include "kvmanager/publisher_table.h"

namespace kvasir {

void PublisherTable::set_model(EndpointId pod, KvSourceId source, std::string_view model) {
  std::lock_guard lock(mutex_);
  publishers_[{pod, source}].model = model;
}

void PublisherTable::set_connected(EndpointId pod, KvSourceId source, bool connected) {
  std::lock_guard lock(mutex_);
  publishers_[{pod, source}].connected = connected;
}

void PublisherTable::remove(EndpointId pod, KvSourceId source) {
  std::lock_guard lock(mutex_);
  publishers_.erase({pod, source});
}

bool PublisherTable::serve_another(EndpointId pod, std::string_view model) const {
  bool others = false;
  bool this_one = model.empty();
  each(pod, [&](const Publisher& publisher) {
    others |= !publisher.model.empty();
    this_one |= publisher.model == model;
  });
  return others && !this_one;
}

std::optional<bool> PublisherTable::connected(EndpointId pod) const {
  std::optional<bool> all;
  each(pod, [&](const Publisher& publisher) {
    if (publisher.connected) all = all.value_or(true) && *publisher.connected;
  });
  return all;
}

std::optional<bool> PublisherTable::any_connected(EndpointId pod) const {
  std::optional<bool> any;
  each(pod, [&](const Publisher& publisher) {
    if (publisher.connected) any = any.value_or(false) || *publisher.connected;
  });
  return any;
}

}  // namespace kvasir

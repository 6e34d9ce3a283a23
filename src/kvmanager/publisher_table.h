// What the feed says of each publisher besides its events: the model that its topic names, and
// whether its connection is there. Thread-safe.
#pragma once

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "kvevents/source_tracker.h"
#include "model/endpoint.h"

namespace kvasir {

class PublisherTable {
 public:
  // Empty: its topic names none.
  void set_model(EndpointId pod, KvSourceId source, std::string_view model);
  void set_connected(EndpointId pod, KvSourceId source, bool connected);
  void remove(EndpointId pod, KvSourceId source);

  // Whether the topics of the pod's publishers name models, and all of them others than this one.
  bool serve_another(EndpointId pod, std::string_view model) const;
  // Of all publishers of the pod whose connections are seen; nullopt: there are none.
  std::optional<bool> connected(EndpointId pod) const;
  // Of any of them.
  std::optional<bool> any_connected(EndpointId pod) const;

 private:
  struct Publisher {
    std::string model;
    std::optional<bool> connected;
  };
  template <class Use>
  void each(EndpointId pod, Use&& use) const {
    std::lock_guard lock(mutex_);
    for (auto it = publishers_.lower_bound({pod, KvSourceId{}});
         it != publishers_.end() && it->first.first == pod; ++it) {
      use(it->second);
    }
  }

  mutable std::mutex mutex_;
  std::map<std::pair<EndpointId, KvSourceId>, Publisher> publishers_;
};

}  // namespace kvasir

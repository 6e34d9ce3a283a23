// The pods that a KV-cache manager knows: those that it was told of, which stay, and those that
// were seen in events, of which the one that was heard longest ago makes room when there are too
// many. Ids of pods that went are given out again late, when nothing under way can mean the earlier
// one. Thread-safe.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"

namespace kvasir {

struct KnownPod {
  EndpointId id{};
  std::string name;
  bool listed = false;  // the program was told of it
  bool heard = false;   // an event of it came
  TimePoint heard_at{};
};

class PodTable {
 public:
  // Ids are below `ids_max`, which should be several times `pods_max`.
  PodTable(size_t pods_max, size_t ids_max) : pods_max_(pods_max), ids_max_(ids_max) {}

  // A pod that the program was told of. nullopt: the name is taken, or there are too many.
  std::optional<EndpointId> list(const std::string& name);
  struct Seen {
    EndpointId id{};
    std::optional<EndpointId> made_room;  // the pod that had to go
  };
  // The pod of that name, made when it is new. nullopt: every place is taken by one that was told
  // of.
  std::optional<Seen> see(std::string_view name, TimePoint now);
  // An event of it came. True: the first one.
  bool hear(EndpointId id, TimePoint now);

  std::optional<EndpointId> find(std::string_view name) const;
  std::optional<KnownPod> pod(EndpointId id) const;
  // Empty: nobody has the id.
  std::string name_of(EndpointId id) const;
  // Those that are listed or were heard, by name.
  std::vector<KnownPod> all() const;

 private:
  bool make_room(std::optional<EndpointId>& made_room);
  std::optional<EndpointId> next_id();

  const size_t pods_max_;
  const size_t ids_max_;
  mutable std::mutex mutex_;
  std::map<std::string, KnownPod, std::less<>> by_name_;
  std::vector<std::string> names_;  // by id; empty: free
  std::deque<EndpointId> free_;     // the one that went first comes first
};

}  // namespace kvasir

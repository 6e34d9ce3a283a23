// The pods that a KV-cache manager knows: those that it was told of, which stay, and those that
// were seen in events. Who came first keeps its place, or whoever invents names would push out the
// others: when there are too many, only one that may go makes room. Ids of pods that went are given
// out again late, when nothing under way can mean the earlier one. Thread-safe.
#pragma once

#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "model/endpoint.h"

namespace kvasir {

struct KnownPod {
  EndpointId id{};
  std::string name;
  bool listed = false;    // the program was told of it
  bool heard = false;     // an event of it came
  bool recalled = false;  // it is known from a file, or from another manager
  TimePoint heard_at{};   // while it was not heard: when it was first seen
};

class PodTable {
 public:
  // Whether a pod that was seen in events may make room for another. It must not call back.
  using MayGo = std::function<bool(const KnownPod& pod, TimePoint now)>;

  // Ids are below `ids_max`, which should be several times `pods_max`.
  PodTable(size_t pods_max, size_t ids_max, MayGo may_go)
      : pods_max_(pods_max), ids_max_(ids_max), may_go_(std::move(may_go)) {}

  // A pod that the program was told of. nullopt: the name is taken, or there are too many.
  std::optional<EndpointId> list(const std::string& name);
  struct Seen {
    EndpointId id{};
    std::optional<KnownPod> made_room;  // the pod that had to go
  };
  // The pod of that name, made when it is new. nullopt: every place is taken. Of those that may go
  // the one that was heard longest ago makes room; they are looked for once in kRoomSoughtEvery.
  std::optional<Seen> see(std::string_view name, TimePoint now);
  static constexpr Duration kRoomSoughtEvery = std::chrono::seconds(1);
  // Of one that was seen in events.
  void remove(EndpointId id);
  // Something is known of it from before.
  void recall(EndpointId id);
  // An event of it came. True: the first one.
  bool hear(EndpointId id, TimePoint now);

  std::optional<EndpointId> find(std::string_view name) const;
  std::optional<KnownPod> pod(EndpointId id) const;
  // Empty: nobody has the id.
  std::string name_of(EndpointId id) const;
  // Those that are listed, were heard or recalled, by name.
  std::vector<KnownPod> all() const;

 private:
  static bool is_there(const KnownPod& pod) { return pod.listed || pod.heard || pod.recalled; }
  bool make_room(TimePoint now, std::optional<KnownPod>& made_room);
  void erase(std::map<std::string, KnownPod, std::less<>>::iterator pod);
  std::optional<EndpointId> next_id();

  const size_t pods_max_;
  const size_t ids_max_;
  const MayGo may_go_;
  mutable std::mutex mutex_;
  std::map<std::string, KnownPod, std::less<>> by_name_;
  std::vector<std::string> names_;  // by id; empty: free
  std::deque<EndpointId> free_;     // the one that went first comes first
  TimePoint no_room_before_ = TimePoint::min();
};

}  // namespace kvasir

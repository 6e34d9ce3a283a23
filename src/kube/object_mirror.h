// The objects that one reflector knows: what the server says of them, in whatever order it comes,
// becomes puts and removals in the store.
//
// A list is the truth: its objects replace what was known, and what it does not hold is removed at
// its end. An event counts only when it is not older than what is known of that name, its deletion
// included: a server, or a proxy, may repeat events or swap them. An object that cannot be read, or
// finds no room, is told once; what was read of it before stays.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <map>
#include <string>

#include "kube/object_store.h"

namespace kvasir {

class ObjectMirror {
 public:
  using Refused = std::function<void(const ObjectKey& key, const std::string& why)>;

  // `store` must outlive it. Its objects stay there when it goes.
  ObjectMirror(ObjectStore& store, KubeKind kind, Refused refused);
  ObjectMirror(const ObjectMirror&) = delete;
  ObjectMirror& operator=(const ObjectMirror&) = delete;

  // From here to end_list() everything taken is of a new list; another begin_list() drops what came
  // since the last, but objects of it that are in the store already stay.
  void begin_list();
  void end_list();
  void take(KubeObjectPtr object);
  void take_unreadable(const ObjectKey& key, const std::string& why);
  void take_deleted(const ObjectKey& key, const std::string& resource_version);

  size_t size() const { return known_.size(); }
  // Every object since the last begin_list() found room in the store.
  bool complete() const { return complete_; }

 private:
  static constexpr size_t kGoneMax = 1024;     // deletions that are remembered
  static constexpr size_t kRefusedMax = 1024;  // objects that are told; more are not

  struct Known {
    KubeObjectPtr object;
    uint32_t list = 0;  // in which it was seen last
  };
  struct Unreadable {
    std::string why;
    uint32_t list = 0;
  };

  bool is_stale(const KubeObject& object) const;
  void remember_deletion(const ObjectKey& key, const std::string& resource_version);

  ObjectStore& store_;
  const KubeKind kind_;
  const ObjectSource source_;
  const Refused refused_;
  uint32_t list_ = 0;
  bool in_list_ = false;
  bool complete_ = true;
  bool no_room_told_ = false;
  std::map<ObjectKey, Known> known_;
  std::map<ObjectKey, Unreadable> unreadable_;
  std::map<ObjectKey, std::string> gone_;  // the resource version of each deletion
  std::deque<ObjectKey> gone_order_;       // the oldest first
};

}  // namespace kvasir

// Keeps the objects of one type, namespace and selector in the store equal to the API server's: a
// list, then a watch that goes on for ever (client-go calls this a reflector).
//
// What it does when things go wrong:
// - it asks for a streaming list (sendInitialEvents) first; a server that cannot, says nothing, or
//   never says that the list is complete, gets pages of a list instead and is not asked again; one
//   that allows no watch is asked for a list every absent_pause;
// - pages that expire half way (410) begin again, the second time as one answer without pages;
// - a watch that ends goes on from the last resource version, and so does one that says nothing for
//   longer than silence_max; 410 Expired, at once or as an event, means a new list, as does
//   anything that a later try would meet again: an event that cannot be read, an ERROR that is not
//   known, kResumesMax failures in a row (429 Too Many Requests aside);
// - no server: objects are kept, their age is told (heard_at()), and it tries again after a pause
//   that grows, with jitter, and is short again after news; Retry-After is kept to, up to
//   pause_max;
// - 401, 403, 404 (the kind is not installed): as no server, but told with the server's words;
//   once, until news comes again or the words change;
// - an object that cannot be read, or for which the store has no room, is told and skipped; what
//   was read of it before is kept;
// - events that come twice, or later than newer ones, are dropped (kube/object_mirror.h).
// Each read of a watch and each page of a list is one batch of the store. Lives on its executor's
// thread.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "kube/kube_client.h"
#include "kube/object_store.h"

namespace kvasir {

struct ReflectorOptions {
  std::string name_space = {};      // empty: all
  std::string label_selector = {};  // "app=vllm,role in (a,b)"; empty: all
  std::string field_selector = {};  // "metadata.name=x"; empty: all
  uint32_t page_objects = 500;
  // timeoutSeconds of a watch, up to twice as long by jitter.
  Duration watch_length = std::chrono::seconds(290);
  Duration pause_min = std::chrono::milliseconds(200);  // between tries that failed
  Duration pause_max = std::chrono::seconds(30);
  Duration absent_pause = std::chrono::seconds(30);  // when the kind is not installed
  // Without an event of a watch: servers send a bookmark each minute, the first one of a quiet kind
  // after two.
  Duration silence_max = std::chrono::seconds(180);
  Duration list_silence_max = std::chrono::seconds(60);  // without an object of a streaming list
  Duration list_length_max = std::chrono::minutes(5);    // after it, objects count no more for that
  bool streaming_list = true;
};

class ReflectorProbe {
 public:
  virtual ~ReflectorProbe() = default;
  // Everything is here, the first time and after each new list.
  virtual void on_synced(const KubeType& type, size_t objects) {
    static_cast<void>(type), static_cast<void>(objects);
  }
  // News stopped coming: why, in words for people. Told once until news comes again or the reason
  // changes. A watch that breaks and goes on at the first try is no trouble.
  virtual void on_trouble(const KubeType& type, const KubeStatus& status, const std::string& why) {
    static_cast<void>(type), static_cast<void>(status), static_cast<void>(why);
  }
  virtual void on_object_refused(const KubeType& type, const ObjectKey& key,
                                 const std::string& why) {
    static_cast<void>(type), static_cast<void>(key), static_cast<void>(why);
  }
};

class Reflector {
 public:
  // Failures of a watch in a row, without news between them, after which it lists again.
  static constexpr size_t kResumesMax = 5;

  // All references must outlive it. It begins at once.
  Reflector(Executor& executor, KubeApi& api, ObjectStore& store, const KubeType& type,
            ReflectorOptions options, Random& random, ReflectorProbe& probe);
  ~Reflector();  // its objects stay in the store
  Reflector(const Reflector&) = delete;
  Reflector& operator=(const Reflector&) = delete;

  const KubeType& type() const;
  // All that was there when it began is in the store.
  bool synced() const;
  // How many it has put there.
  size_t objects() const;
  // The server was last heard saying that this is up to date (an event, a bookmark, the end of a
  // list).
  std::optional<TimePoint> heard_at() const;
  // It cannot be read now: 404 (not installed) or 403.
  bool absent() const;

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir

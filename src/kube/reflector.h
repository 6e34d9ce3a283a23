// Keeps the objects of one type, namespace and selector in the store equal to the API server's: a
// list, then a watch that goes on for ever (client-go calls this a reflector).
//
// What it does when things go wrong:
// - a streaming list (sendInitialEvents) first; a server that cannot gets pages of a list instead,
// and is not asked again;
// - a watch that ends goes on from the last resource version; 410 Expired, at once or as an event,
// means a new list;
// - no server: objects are kept, their age is told, and it tries again after a pause that grows,
// with jitter;
// - 401, 403, 404 (the kind is not installed): as no server, but told with the server's words;
// once, until it changes;
// - an object that cannot be read is told and skipped; one that was read before is kept as it was.
// Lives on its executor's thread.
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
  std::string name_space;      // empty: all
  std::string label_selector;  // "app=vllm,role in (a,b)"; empty: all
  std::string field_selector;  // "metadata.name=x"; empty: all
  uint32_t page_objects = 500;
  Duration watch_length =
      std::chrono::seconds(290);  // timeoutSeconds of a watch, up to twice as long by jitter
  Duration pause_min = std::chrono::milliseconds(200);  // between tries that failed
  Duration pause_max = std::chrono::seconds(30);
  Duration absent_pause = std::chrono::seconds(30);  // when the kind is not installed
  bool streaming_list = true;
};

class ReflectorProbe {
 public:
  virtual ~ReflectorProbe() = default;
  // Everything is here, the first time and after each new list.
  virtual void on_synced(const KubeType& type, size_t objects) {
    static_cast<void>(type), static_cast<void>(objects);
  }
  // News stopped coming: why, in words for people. Told once until on_synced() or another reason.
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
  // All references must outlive it. It begins at once.
  Reflector(Executor& executor, KubeApi& api, ObjectStore& store, const KubeType& type,
            ReflectorOptions options, Random& random, ReflectorProbe& probe);
  ~Reflector();  // its objects stay in the store
  Reflector(const Reflector&) = delete;
  Reflector& operator=(const Reflector&) = delete;

  const KubeType& type() const;
  // All that was there when it began is in the store.
  bool synced() const;
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

// Says things about an object where `kubectl describe` shows them: Events of events.k8s.io/v1, or
// of the core group when only those may be written.
//
// The same event again is counted, not written anew: at once the second time, then every now and
// then. Best effort: while the server is away a few events wait; what cannot be written is dropped,
// and told once. Lives on its executor's thread.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "kube/kube_client.h"

namespace kvasir {

struct KubeEvent {
  bool warning = false;
  std::string reason;  // one word: "ConfigurationRefused"
  std::string action;  // what was being done: "Reload"
  std::string note;    // for people; cut at 1,024 bytes, the API's limit
};

// Whom an event is about.
struct ObjectReference {
  std::string api_version;
  std::string kind;
  ObjectKey key;
  std::string uid;  // `kubectl describe` shows only events that have the object's own
};

struct EventRecorderOptions {
  std::string controller = "kvasir.dev/epp";  // reportingController
  std::string instance;                       // reportingInstance: the pod's name
  // How often the count of an event that goes on happening is written; one that did not happen for
  // as long is a new event when it comes back.
  Duration repeat_after = std::chrono::minutes(5);
  size_t series_max = 256;                          // remembered; the oldest is forgotten
  size_t waiting_max = 64;                          // not yet written; more are dropped
  Duration retry_pause = std::chrono::seconds(10);  // when the server is away or busy
  size_t tries_max = 12;                            // of one event
};

class EventRecorder {
 public:
  // All references must outlive it. `wall_clock`: of kube/kube_time.h. `told` hears why events
  // cannot be written; once, until one could be.
  EventRecorder(Executor& executor, KubeApi& api, const Clock& wall_clock,
                EventRecorderOptions options,
                std::function<void(const std::string& trouble)> told = nullptr);
  ~EventRecorder();
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  void record(const ObjectReference& about, KubeEvent event);

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir

// Says things about an object where `kubectl describe` shows them: Events of events.k8s.io/v1.
//
// The same event again within its series is counted, not written anew. Best effort: what cannot be
// written is dropped and told once. Lives on its executor's thread.
#pragma once

#include <cstddef>
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
  std::string uid;
};

struct EventRecorderOptions {
  std::string controller = "kvasir.dev/epp";  // reportingController
  std::string instance;                       // reportingInstance: the pod's name
  Duration repeat_after =
      std::chrono::minutes(5);  // the same event is written again, with its count
  size_t series_max = 256;      // remembered; the oldest is forgotten
  size_t waiting_max = 64;      // not yet written; more are dropped
};

class EventRecorder {
 public:
  EventRecorder(Executor& executor, KubeApi& api, const Clock& wall_clock,
                EventRecorderOptions options);
  ~EventRecorder();
  EventRecorder(const EventRecorder&) = delete;
  EventRecorder& operator=(const EventRecorder&) = delete;

  void record(const ObjectReference& about, KubeEvent event);

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir

// Writes what our controller says of objects into their status, through the API server: reads the
// object, changes what is ours, and writes it with the version that it read. One object at a time;
// nothing is written that is there already, nor by a replica that does not lead.
//
// A conflict, or any other failure, is tried again after a pause that grows, with jitter; an object
// that has changed meanwhile is left until it is told of anew.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "kube/kube_client.h"
#include "kube/object_store.h"
#include "routes/object_status.h"

namespace kvasir {

struct StatusWriterOptions {
  std::string controller_name = StatusOptions().controller_name;
  Duration pause_min = std::chrono::milliseconds(200);
  Duration pause_max = std::chrono::minutes(1);
};

// Lives on its executor's thread.
class StatusWriter {
 public:
  // Why the status of an object cannot be written; told once until it can, or for another reason.
  using Trouble = std::function<void(const KubeType& type, const ObjectKey& key,
                                     const KubeStatus& status, const std::string& why)>;

  // All references must outlive it, and it is not made while the store tells of a change.
  // `wall_clock`: for lastTransitionTime. It begins when it leads.
  StatusWriter(Executor& executor, KubeApi& api, ObjectStore& store, const Clock& wall_clock,
               StatusWriterOptions options, Random& random, Trouble trouble);
  ~StatusWriter();
  StatusWriter(const StatusWriter&) = delete;
  StatusWriter& operator=(const StatusWriter&) = delete;

  // From now on this is to be said, and nothing of objects that are not here. What others write
  // over is written again without this.
  void set_statuses(std::vector<ObjectStatus> statuses);
  // A replica that begins to lead looks at every object once.
  void set_leading(bool leads);

  // Of objects whose status is not known to be as it should; none while this replica does not lead.
  size_t unwritten() const;

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir

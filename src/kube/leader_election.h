// Who of several replicas leads, by a Lease of coordination.k8s.io/v1, as client-go's
// leaderelection does it: whoever holds the lease renews it; another may take it when it was seen
// unrenewed for its whole length, by its own clock.
#pragma once

#include <memory>
#include <string>

#include "base/clock.h"
#include "base/executor.h"
#include "base/random.h"
#include "kube/kube_client.h"

namespace kvasir {

struct LeaderElectionOptions {
  std::string name_space;
  std::string lease_name;
  std::string identity;  // of this process: pod name and something that a restart changes
  Duration lease_duration = std::chrono::seconds(15);
  Duration renew_deadline =
      std::chrono::seconds(10);  // without a renewal for this long it leads no more
  Duration retry_period = std::chrono::seconds(2);
};

class LeaderProbe {
 public:
  virtual ~LeaderProbe() = default;
  virtual void on_leading(bool leads) = 0;
  virtual void on_new_leader(const std::string& identity) { static_cast<void>(identity); }
  virtual void on_election_trouble(const std::string& why) { static_cast<void>(why); }
};

class LeaderElection {
 public:
  LeaderElection(Executor& executor, KubeApi& api, LeaderElectionOptions options, Random& random,
                 LeaderProbe& probe);
  ~LeaderElection();
  LeaderElection(const LeaderElection&) = delete;
  LeaderElection& operator=(const LeaderElection&) = delete;

  bool leads() const;
  // Lets the lease go, so that another need not wait for its end. `done` is called when that was
  // tried.
  void release(std::function<void()> done);

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir

// Who of several replicas leads, by a Lease of coordination.k8s.io/v1, as client-go's
// leaderelection does it: whoever holds the lease renews it; another may take it when it was seen
// unrenewed for its whole length, by its own clock. The clocks of two candidates are never
// compared. A candidate watches the lease, so that it sees renewals when they come; where it may
// not, it reads the lease each retry_period, and may lead that much later.
#pragma once

#include <functional>
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

// Not to destroy the election from one of these.
class LeaderProbe {
 public:
  virtual ~LeaderProbe() = default;
  virtual void on_leading(bool leads) = 0;
  // Whoever holds the lease now, this process too.
  virtual void on_new_leader(const std::string& identity) { static_cast<void>(identity); }
  // Why the lease can be neither read nor written; told once until it can, or for another reason.
  virtual void on_election_trouble(const std::string& why) { static_cast<void>(why); }
};

// Lives on its executor's thread.
class LeaderElection {
 public:
  // All references must outlive it. It begins at once. `wall_clock`: what the lease says of time
  // (kube/kube_time.h); nothing is decided by it.
  LeaderElection(Executor& executor, KubeApi& api, const Clock& wall_clock,
                 LeaderElectionOptions options, Random& random, LeaderProbe& probe);
  // Keeps the lease, which then ends by itself: release() before, to hand it over.
  ~LeaderElection();
  LeaderElection(const LeaderElection&) = delete;
  LeaderElection& operator=(const LeaderElection&) = delete;

  bool leads() const;
  // Leads no more, and lets the lease go, so that another need not wait for its end; it is no
  // candidate from then on. `done` is called in a later turn, when that was tried, within
  // renew_deadline.
  void release(std::function<void()> done);

 private:
  class State;
  const std::unique_ptr<State> state_;
};

}  // namespace kvasir

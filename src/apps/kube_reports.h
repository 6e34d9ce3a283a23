// What is told of Kubernetes: log lines, Events where `kubectl describe` shows them, and metrics
// (docs/METRICS.md, "Kubernetes").
//
// Lives on the loop's thread, but for page(), which any thread may call.
#pragma once

#include <atomic>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "apps/kube_rbac.h"
#include "base/clock.h"
#include "base/guarded.h"
#include "cluster/cluster.h"
#include "kube/event_recorder.h"
#include "kube/leader_election.h"
#include "telemetry/metrics.h"

namespace kvasir {

class KubeReports final : public ClusterProbe, public LeaderProbe {
 public:
  // `rbac`: what the program is, so that a missing permission is told with the command that grants
  // it. `clock`: the loop's; it must outlive this.
  KubeReports(RbacOptions rbac, const Clock& clock);

  // Null: nobody writes Events.
  void set_events(EventRecorder* events) { events_ = events; }
  // The pool, when it is there, else the program's own pod; nullopt: nothing that is known by name.
  void set_about(std::optional<ObjectReference> about) { about_ = std::move(about); }

  void on_synced(const KubeType& type, size_t objects) override;
  void on_trouble(const KubeType& type, const KubeStatus& status, const std::string& why) override;
  void on_object_refused(const KubeType& type, const ObjectKey& key,
                         const std::string& why) override;
  void on_kind_absent(const KubeType& type) override;
  void on_events_lost(const std::string& why) override;
  void on_leading(bool leads) override;
  void on_new_leader(const std::string& identity) override;
  void on_election_trouble(const std::string& why) override;

  void on_configuration_refused(std::string_view error);
  void on_start_refused(std::string_view error);
  void on_manifests_refused(const std::string& why);
  void on_manifests_read_again(const std::string& path);
  // Told when it has lasted for a while: `what` is the pool for people.
  void on_pool_missing(const std::string& what);
  void on_pool_selects_nothing(const std::string& what);
  void on_pool_serves(const std::string& what);

  bool leads() const { return leads_; }  // any thread
  void note(std::vector<KubeFreshness> freshness);
  std::string page() const;

 private:
  void record(bool warning, const char* reason, const char* action, std::string note);

  const RbacOptions rbac_;
  const Clock& clock_;
  EventRecorder* events_ = nullptr;
  std::optional<ObjectReference> about_;
  std::set<std::string> known_, troubled_;  // types
  MetricRegistry registry_;
  std::atomic<bool> leads_{false};
  Guarded<std::vector<KubeFreshness>> freshness_;
};

// What may not be done, in one line: verb, resource, group and namespace, the server's own words
// and the command that allows it.
std::string forbidden_line(const KubeType& type, const KubeStatus& status, const RbacOptions& rbac);

}  // namespace kvasir

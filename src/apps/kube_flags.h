// The flags by which endpoints are the pods of a Kubernetes cluster, the same for epp and gateway,
// and what they ask for together.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/result.h"
#include "cluster/pool_selection.h"

namespace CLI {
class App;
}

namespace kvasir {

struct KubeFlags {
  std::string kubeconfig;
  std::string pool_name;
  std::string pool_namespace;
  std::string pool_group = PoolSelection().pool_group;
  std::string endpoint_selector;
  std::string endpoint_target_ports;
  std::vector<std::string> manifests;
  // Of the picker alone.
  bool leader_election = false;
  std::string peers_service;
  bool metrics_auth = false;
};

// What they ask for, when it is Kubernetes that says where the endpoints are.
struct KubeChoice {
  PoolSelection selection;  // pool_namespace is empty when no flag and no variable says it
  std::string kubeconfig;   // empty: find_kube_config() looks
  std::vector<std::string> manifests;  // instead of an API server; none: not
  bool leader_election = false;
  std::string peers_service;
  bool metrics_auth = false;  // the API server says who may read /metrics
};

// What is given for `flag` must be a name that an object can have, or a namespace or Service: those
// have no dots. Empty: nothing is given.
Result<void> check_object_name(const char* flag, std::string_view name);
Result<void> check_label_name(const char* flag, std::string_view name);

// In a help group "Kubernetes". The picker has three flags more.
void add_kube_flags(CLI::App& command, KubeFlags& flags, bool picker);

// Holds seconds; what it leaves alone stands for the default, which the help says in words.
void add_drain_delay_flag(CLI::App& command, double& seconds, const std::string& help);

// What the log says when that begins.
std::string stopping_text(std::string_view what, Duration drain_delay);

// Who else says where the endpoints are.
struct OtherSources {
  int flags = 0;           // how many other flags do
  const char* names = "";  // of all such flags, for errors
  bool config_discovers = false;
  // Beside them --pool-name is no source, but what the pool is called in metrics.
  bool pool_name_may_be_a_name = false;
};
// nullopt: Kubernetes is not asked. Reads $NAMESPACE.
Result<std::optional<KubeChoice>> kube_choice(const KubeFlags& flags, const OtherSources& others);

// Whether a configuration's text names a discovery of its own; and whether its plugins read the
// labels of nodes. What is wrong with the text is told by who compiles it.
bool config_discovers(std::string_view config);
bool config_reads_nodes(std::string_view config);

}  // namespace kvasir

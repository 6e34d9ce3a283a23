// An A/B: the same workload under several policies, one after another, each on a fleet of its own
// that is started afresh, so that no arm finds another's caches.
#pragma once

#include <string>
#include <vector>

#include "bench/metrics.h"
#include "bench/replay_run.h"
#include "supervise/fleet_supervisor.h"

namespace kvasir {

struct AbOptions {
  std::vector<std::string> arms;  // policies, in the order to run; one may come twice (A/A)
  // Whether engines publish KV events and the gateways follow them, for each arm; of arms beyond
  // its end, as the last one says; empty: no.
  std::vector<bool> kv_events;
  FleetOptions fleet;             // but for policy, events, ports and logs
  CompletionOptions completion;   // but for the model
  Duration timeout = std::chrono::minutes(30);
  std::string output_directory;  // ARM.jsonl and the logs of ARM's processes; empty: kept nowhere
  bool allow_lag = false;  // else the A/B ends with the first arm in which the client fell behind
};

struct AbOutcome {
  std::string model;
  std::vector<ArmMetrics> arms;
  std::vector<size_t> rows_with_other_tokens;
};

// Runs the loop until all arms are through. Fails when a fleet does not start, when two arms'
// workers are not alike (count, model, sizes, health) before or after, and when one dies or is
// restarted meanwhile.
Result<AbOutcome> run_ab(EventLoop& loop, const Workload& workload, const AbOptions& options);

// "kv", "kv-2", "kv+events", ...: one name for each arm.
std::vector<std::string> arm_names(const std::vector<std::string>& policies,
                                   const std::vector<bool>& kv_events = {});

// The rows that were answered in all arms, but not with the same text in all.
std::vector<size_t> rows_that_differ(const std::vector<std::vector<Outcome>>& arms);

}  // namespace kvasir

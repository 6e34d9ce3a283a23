// fcfs-ordering-policy, edf-ordering-policy and slo-deadline-ordering-policy: which request of a
// flow goes next.
//
// Formula: the smallest rank. fcfs: when it came; edf: when it will be given up; slo-deadline: when
// it came plus the
//   time to first token that its header asks for.
// Inputs of slo-deadline-ordering-policy: header x-llm-d-slo-ttft-ms, else x-slo-ttft-ms, in
// milliseconds; without one
//   (or with one that is no number of at least 0) the request goes behind all that have one, first
//   come first.
// Parameters: none.
//
//   - type: slo-deadline-ordering-policy
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType fcfs_ordering_policy_plugin();
PluginType edf_ordering_policy_plugin();
PluginType slo_deadline_ordering_policy_plugin();

}  // namespace kvasir

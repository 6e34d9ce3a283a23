// fcfs-ordering-policy, edf-ordering-policy, slo-deadline-ordering-policy and
// smallest-work-ordering-policy (alpha; upstream does not have it): which request of a flow goes
// next.
//
// Formula: the smallest rank. fcfs: when it came; edf: when it will be given up; slo-deadline: when
// it came plus the
//   time to first token that its header asks for; smallest-work: d - 0.2 x age, d being its
//   predicted prefill on the endpoint that suits it best, but who has less than 2 s left until its
//   deadline goes before all.
// Inputs of smallest-work-ordering-policy: a plugin that predicts times (predicted-cost-picker);
//   without one d is 0: first come, first served.
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
PluginType smallest_work_ordering_policy_plugin();
PluginType slo_deadline_ordering_policy_plugin();

}  // namespace kvasir

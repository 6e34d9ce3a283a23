#include "plugins/plugin_roster.h"

#include "plugins/cost/predicted_cost_pd_decider.h"
#include "plugins/cost/predicted_cost_picker.h"
#include "plugins/data_layer_plugins.h"
#include "plugins/destination_endpoint_served_verifier.h"
#include "plugins/filter/endpoint_attribute_filter.h"
#include "plugins/filter/header_based_testing_filter.h"
#include "plugins/filter/label_selector_filter.h"
#include "plugins/filter/label_value_filters.h"
#include "plugins/filter/prefix_cache_affinity_filter.h"
#include "plugins/filter/utilization_filter.h"
#include "plugins/flow/concurrency_detector.h"
#include "plugins/flow/eviction_policies.h"
#include "plugins/flow/fairness_policies.h"
#include "plugins/flow/ordering_policies.h"
#include "plugins/flow/probabilistic_admitter.h"
#include "plugins/flow/program_aware_fairness.h"
#include "plugins/flow/usage_limit_policies.h"
#include "plugins/flow/utilization_detector.h"
#include "plugins/picker/least_load_picker.h"
#include "plugins/picker/max_score_picker.h"
#include "plugins/picker/random_picker.h"
#include "plugins/picker/round_robin_picker.h"
#include "plugins/picker/weighted_random_picker.h"
#include "plugins/producer/approx_prefix_cache_producer.h"
#include "plugins/producer/inflight_load_producer.h"
#include "plugins/producer/precise_prefix_cache_producer.h"
#include "plugins/producer/session_id_producer.h"
#include "plugins/producer/token_producer.h"
#include "plugins/profile/disagg_profile_handler.h"
#include "plugins/profile/header_profile_handler.h"
#include "plugins/profile/single_profile_handler.h"
#include "plugins/profile/stage_deciders.h"
#include "plugins/refused_plugins.h"
#include "plugins/scorer/active_request_scorer.h"
#include "plugins/scorer/context_length_aware.h"
#include "plugins/scorer/dynamo_cost_scorer.h"
#include "plugins/scorer/endpoint_attribute_scorer.h"
#include "plugins/scorer/header_label_affinity_scorer.h"
#include "plugins/scorer/kv_cache_utilization_scorer.h"
#include "plugins/scorer/lmetric_scorer.h"
#include "plugins/scorer/load_aware_scorer.h"
#include "plugins/scorer/lora_affinity_scorer.h"
#include "plugins/scorer/no_hit_lru_scorer.h"
#include "plugins/scorer/precise_prefix_cache_scorer.h"
#include "plugins/scorer/prefix_cache_scorer.h"
#include "plugins/scorer/queue_scorer.h"
#include "plugins/scorer/running_requests_size_scorer.h"
#include "plugins/scorer/seed_composite_scorer.h"
#include "plugins/scorer/seed_kv_cache_manager_scorer.h"
#include "plugins/scorer/seed_load_aware_scorer.h"
#include "plugins/scorer/seed_precise_prefix_cache_scorer.h"
#include "plugins/scorer/session_affinity.h"
#include "plugins/scorer/token_load_scorer.h"
#include "plugins/scorer/topology_affinity.h"
#include "scheduling/plugin_library.h"

namespace kvasir {
namespace {

// Upstream reads no parameters of this type, and so refuses none.
PluginType without_parameters(PluginType type) {
  type.ignores_parameters = true;
  return type;
}

void register_pickers(Registry& registry) {
  registry.add(max_score_picker_plugin());
  registry.add(random_picker_plugin());
  registry.add(weighted_random_picker_plugin());
  registry.add(predicted_cost_picker_plugin());
  registry.add(least_load_picker_plugin());
  registry.add(round_robin_picker_plugin());
}

void register_scorers(Registry& registry) {
  registry.add(without_parameters(queue_scorer_plugin()));
  registry.add(without_parameters(running_requests_size_scorer_plugin()));
  registry.add(without_parameters(kv_cache_utilization_scorer_plugin()));
  registry.add(load_aware_scorer_plugin());
  registry.add(active_request_scorer_plugin());
  registry.add(token_load_scorer_plugin());
  registry.add(without_parameters(lora_affinity_scorer_plugin()));
  registry.add(prefix_cache_scorer_plugin());
  registry.add(precise_prefix_cache_scorer_plugin());
  registry.add(no_hit_lru_scorer_plugin());
  registry.add(session_affinity_scorer_plugin());
  registry.add(context_length_aware_plugin());
  registry.add(endpoint_attribute_scorer_plugin());
  registry.add(header_label_affinity_scorer_plugin());
  registry.add(topology_affinity_scorer_plugin());
  registry.add(seed_load_aware_scorer_plugin());
  registry.add(seed_composite_scorer_plugin());
  registry.add(seed_kv_cache_manager_scorer_plugin());
  registry.add(seed_precise_prefix_cache_scorer_plugin());
  registry.add(dynamo_cost_scorer_plugin());
  registry.add(lmetric_scorer_plugin());
}

void register_filters(Registry& registry) {
  registry.add(label_selector_filter_plugin());
  registry.add(by_label_selector_plugin());
  registry.add(by_label_plugin());
  registry.add(without_parameters(decode_filter_plugin()));
  registry.add(without_parameters(prefill_filter_plugin()));
  registry.add(without_parameters(encode_filter_plugin()));
  registry.add(prefix_cache_affinity_filter_plugin());
  registry.add(session_affinity_filter_plugin());
  registry.add(utilization_filter_plugin());
  registry.add(endpoint_attribute_filter_plugin());
  registry.add(topology_affinity_filter_plugin());
  registry.add(without_parameters(header_based_testing_filter_plugin()));
}

void register_handlers(Registry& registry) {
  registry.add(without_parameters(single_profile_handler_plugin()));
  registry.add(data_parallel_profile_handler_plugin());
  registry.add(header_profile_handler_plugin());
  registry.add(disagg_profile_handler_plugin());
  registry.add(pd_profile_handler_plugin());
  registry.add(disagg_headers_handler_plugin());
  registry.add(prefill_header_handler_plugin());
  registry.add(without_parameters(always_disagg_pd_decider_plugin()));
  registry.add(without_parameters(always_disagg_multimodal_decider_plugin()));
  registry.add(prefix_based_pd_decider_plugin());
  registry.add(predicted_cost_pd_decider_plugin());
}

void register_producers(Registry& registry) {
  registry.add(inflight_load_producer_plugin());
  registry.add(approx_prefix_cache_producer_plugin());
  registry.add(precise_prefix_cache_producer_plugin());
  registry.add(session_id_producer_plugin());
  registry.add(token_producer_plugin());
  registry.add(tokenizer_plugin());
}

void register_flow_control(Registry& registry) {
  registry.add(without_parameters(global_strict_fairness_policy_plugin()));
  registry.add(without_parameters(round_robin_fairness_policy_plugin()));
  registry.add(program_aware_fairness_plugin());
  registry.add(without_parameters(fcfs_ordering_policy_plugin()));
  registry.add(without_parameters(edf_ordering_policy_plugin()));
  registry.add(without_parameters(slo_deadline_ordering_policy_plugin()));
  registry.add(smallest_work_ordering_policy_plugin());
  registry.add(static_usage_limit_policy_plugin());
  registry.add(priority_holdback_policy_plugin());
  registry.add(soft_reflective_ceiling_policy_plugin());
  registry.add(utilization_detector_plugin());
  registry.add(concurrency_detector_plugin());
  registry.add(without_parameters(sheddable_eviction_filter_plugin()));
  registry.add(without_parameters(priority_then_time_eviction_order_policy_plugin()));
  registry.add(probabilistic_admitter_plugin());
}

void register_data_layer(Registry& registry) {
  registry.add(topology_extractor_plugin());
  registry.add(without_parameters(destination_endpoint_served_verifier_plugin()));
  registry.add(without_parameters(endpoint_notification_source_plugin()));
  registry.add(k8s_notification_source_plugin());
  registry.add(models_data_source_plugin());
  registry.add(without_parameters(models_data_extractor_plugin()));
}

}  // namespace

void register_plugins(Registry& registry) {
  register_pickers(registry);
  register_scorers(registry);
  register_filters(registry);
  register_handlers(registry);
  register_producers(registry);
  register_flow_control(registry);
  register_data_layer(registry);
  register_refused_plugins(registry);
}

Result<Registry> plugin_registry(const std::vector<std::string>& plugin_files) {
  Registry registry;
  register_plugins(registry);
  for (const std::string& file : plugin_files) {
    if (const Result<void> loaded = load_plugin_library(file, registry); !loaded) {
      return Error{"--plugin " + loaded.error().message};
    }
  }
  return registry;
}

}  // namespace kvasir

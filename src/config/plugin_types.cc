#include "config/plugin_types.h"

namespace kvasir {
namespace {

constexpr PluginTypeFacts kTypes[] = {
    // Pickers.
    {"max-score-picker", kPickerPlace},
    {"random-picker", kPickerPlace},
    {"weighted-random-picker", kPickerPlace},
    // Profile handlers and deciders.
    {"single-profile-handler", kProfileHandlerPlace},
    {"disagg-profile-handler", kProfileHandlerPlace},
    {"pd-profile-handler", kProfileHandlerPlace, true, "disagg-profile-handler"},
    {"data-parallel-profile-handler", kProfileHandlerPlace, true, "single-profile-handler"},
    {"header-profile-handler", kProfileHandlerPlace},
    {"disagg-headers-handler", kOtherPlace, true, "disagg-profile-handler"},
    {"prefill-header-handler", kOtherPlace, true, "disagg-profile-handler"},
    {"always-disagg-pd-decider", kOtherPlace},
    {"always-disagg-multimodal-decider", kOtherPlace},
    {"prefix-based-pd-decider", kOtherPlace},
    // Filters.
    {"label-selector-filter", kFilterPlace},
    {"by-label-selector", kFilterPlace, true, "label-selector-filter"},
    {"by-label", kFilterPlace, true, "label-selector-filter"},
    {"decode-filter", kFilterPlace},
    {"prefill-filter", kFilterPlace},
    {"encode-filter", kFilterPlace},
    {"prefix-cache-affinity-filter", kFilterPlace},
    {"slo-headroom-tier-filter", kFilterPlace},
    {"session-affinity-filter", kFilterPlace},
    {"endpoint-attribute-filter", kFilterPlace},
    {"topology-affinity-filter", kFilterPlace},
    {"utilization-filter", kFilterPlace},
    {"context-length-aware", kFilterPlace | kScorerPlace},
    {"utilization-detector", kFilterPlace | kFlowControlPlace},
    {"concurrency-detector", kFilterPlace | kFlowControlPlace},
    {"header-based-testing-filter", kFilterPlace},
    {"multicluster-session-affinity-filter", kFilterPlace},
    // Scorers.
    {"queue-scorer", kScorerPlace},
    {"running-requests-size-scorer", kScorerPlace},
    {"kv-cache-utilization-scorer", kScorerPlace},
    {"load-aware-scorer", kScorerPlace},
    {"active-request-scorer", kScorerPlace},
    {"token-load-scorer", kScorerPlace},
    {"lora-affinity-scorer", kScorerPlace},
    {"prefix-cache-scorer", kScorerPlace},
    {"precise-prefix-cache-scorer", kScorerPlace | kProducerPlace | kDataLayerPlace, true,
     "prefix-cache-scorer with precise-prefix-cache-producer"},
    {"no-hit-lru-scorer", kScorerPlace},
    {"session-affinity-scorer", kScorerPlace},
    {"latency-scorer", kScorerPlace},
    {"endpoint-attribute-scorer", kScorerPlace},
    {"header-label-affinity-scorer", kScorerPlace},
    {"mm-embeddings-cache-scorer", kScorerPlace},
    {"topology-affinity-scorer", kScorerPlace},
    {"multicluster-queue-scorer", kScorerPlace},
    {"multicluster-kv-cache-utilization-scorer", kScorerPlace},
    {"multicluster-prefix-cache-scorer", kScorerPlace},
    {"seed-load-aware-scorer", kScorerPlace},
    {"seed-kv-cache-manager-scorer", kScorerPlace},
    {"seed-precise-prefix-cache-scorer", kScorerPlace},
    {"seed-composite-scorer", kScorerPlace},
    // Producers.
    {"inflight-load-producer", kProducerPlace},
    {"approx-prefix-cache-producer", kProducerPlace},
    {"precise-prefix-cache-producer", kProducerPlace | kDataLayerPlace},
    {"token-producer", kProducerPlace},
    {"tokenizer", kProducerPlace, true, "token-producer"},
    {"predicted-latency-producer", kProducerPlace},
    {"session-id-producer", kProducerPlace},
    {"mm-embeddings-cache-producer", kProducerPlace | kDataLayerPlace},
    {"burst-prefix-cache-producer", kProducerPlace},
    {"p2p-source-producer", kProducerPlace},
    {"multicluster-approx-prefix-cache-producer", kProducerPlace},
    // Admission, headers, reports, screening.
    {"probabilistic-admitter", kOtherPlace},
    {"latency-slo-admitter", kOtherPlace},
    {"agent-identity", kOtherPlace},
    {"request-attribute-reporter", kOtherPlace},
    {"disaggregatedset-rollout-screener", kOtherPlace},
    {"destination-endpoint-served-verifier", kOtherPlace},
    // Parsers.
    {"openai-parser", kParserPlace},
    {"anthropic-parser", kParserPlace},
    {"vllmgrpc-parser", kParserPlace},
    {"vllmhttp-parser", kParserPlace},
    {"sglanghttp-parser", kParserPlace},
    {"vertexai-parser", kParserPlace},
    {"passthrough-parser", kParserPlace},
    // Data layer.
    {"metrics-data-source", kDataLayerPlace},
    {"core-metrics-extractor", kDataLayerPlace},
    {"models-data-source", kDataLayerPlace},
    {"models-data-extractor", kDataLayerPlace},
    {"dcgm-data-source", kDataLayerPlace},
    {"dcgm-extractor", kDataLayerPlace},
    {"topology-extractor", kDataLayerPlace | kOtherPlace},
    {"k8s-notification-source", kDataLayerPlace},
    {"endpoint-notification-source", kDataLayerPlace},
    {"file-discovery", kDataLayerPlace},
    {"disaggregatedset-rollout-pod-extractor", kDataLayerPlace},
    {"multicluster-metrics-data-source", kDataLayerPlace},
    {"multicluster-metrics-extractor", kDataLayerPlace},
    {"multicluster-file-discovery", kDataLayerPlace},
    // Flow control.
    {"global-strict-fairness-policy", kFlowControlPlace},
    {"round-robin-fairness-policy", kFlowControlPlace},
    {"program-aware-fairness", kFlowControlPlace},
    {"fcfs-ordering-policy", kFlowControlPlace},
    {"edf-ordering-policy", kFlowControlPlace},
    {"slo-deadline-ordering-policy", kFlowControlPlace},
    {"static-usage-limit-policy", kFlowControlPlace},
    {"priority-holdback-policy", kFlowControlPlace},
    {"soft-reflective-ceiling-policy", kFlowControlPlace},
    {"sheddable-eviction-filter", kFlowControlPlace},
    {"priority-then-time-eviction-order-policy", kFlowControlPlace},
};

struct FormerPluginType {
  std::string_view name;
  std::string_view hint;
};

// Of the Gateway API Inference Extension before 1.0, of its later releases, and of llm-d's
// scheduler before that.
constexpr FormerPluginType kFormerTypes[] = {
    {"kv-cache-scorer", "it is called kv-cache-utilization-scorer now"},
    {"least-kv-cache-filter", "kv-cache-utilization-scorer does its work now"},
    {"least-queue-filter", "queue-scorer does its work now"},
    {"low-queue-filter", "queue-scorer does its work now"},
    {"lora-affinity-filter", "it is a scorer now: lora-affinity-scorer"},
    {"decision-tree-filter", "name its filters and scorers one by one in schedulingProfiles now"},
    {"kvcache-aware-scorer", "prefix-cache-scorer does its work now"},
    {"prefix-aware-scorer", "it is called prefix-cache-scorer now"},
    {"model-server-protocol-metrics", "it is called core-metrics-extractor now"},
    {"model-server-protocol-models", "it is called models-data-extractor now"},
    {"predicted-latency-scorer", "it is called latency-scorer now"},
    {"slo-aware-routing", "latency-scorer does its work now"},
    {"slo-aware-profile-handler", "single-profile-handler does its work now"},
};

}  // namespace

std::string_view former_plugin_type_hint(std::string_view name) {
  for (const FormerPluginType& type : kFormerTypes) {
    if (type.name == name) return type.hint;
  }
  return "";
}

const PluginTypeFacts* find_plugin_type(std::span<const PluginTypeFacts> types,
                                        std::string_view name) {
  for (const PluginTypeFacts& type : types) {
    if (type.name == name) return &type;
  }
  return nullptr;
}

std::span<const PluginTypeFacts> upstream_plugin_types() {
  return kTypes;
}

}  // namespace kvasir

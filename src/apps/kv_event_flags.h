// The flags and variables by which a worker publishes KV events: vLLM's --kv-events-config, and the
// tutorial's names for the same.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "worker/kv_event_writer.h"

namespace kvasir {

struct KvEventFlags {
  std::string kv_events_config;   // JSON; empty: not given
  bool enable_kv_events = false;  // the tutorial's: with vLLM's defaults
  uint32_t data_parallel_rank = 0;
  std::string prefix_caching_hash_algo = {};  // names blocks as vLLM does; empty: as is cheapest
};

// What the flags and the variables VLLM_KV_EVENT_ENABLED, VLLM_KV_EVENT_ZMQ_ENDPOINT and
// VLLM_KV_EVENT_INTERVAL_MS ask for; nullopt: no events. `pod_topic`: what the topic is when events
// go to the endpoint of the variable, which hears many workers. The error names flag or variable.
Result<std::optional<KvEventWriterOptions>> kv_event_options(const KvEventFlags& flags,
                                                             const std::string& pod_topic);

// Why nothing is published when kv_event_options() says so.
std::string kv_events_are_off(const KvEventFlags& flags);

// What of it is allowed and yet hardly meant, each in words that say what to do.
std::vector<std::string> kv_event_warnings(const KvEventWriterOptions& options,
                                           bool prefix_caching);

}  // namespace kvasir

// The command line of `kvasir worker`: vLLM's flags by their own names, and a few of ours.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "apps/kv_event_flags.h"
#include "apps/kv_transfer_flags.h"
#include "base/result.h"
#include "worker/worker_server.h"

namespace CLI {
class App;
}

namespace kvasir {

struct WorkerFlags {
  // vLLM's. Absent: what the engine profile says.
  std::string model;
  std::vector<std::string> served_model_name;
  std::string host = "0.0.0.0";
  uint16_t port = 8000;
  std::optional<uint32_t> max_num_seqs;
  std::optional<uint32_t> max_num_batched_tokens;
  std::optional<uint32_t> max_model_len;
  bool auto_max_model_len = false;  // as long as the profile and the KV cache allow
  std::optional<uint32_t> block_size;
  std::optional<double> gpu_memory_utilization;
  std::optional<uint64_t> num_gpu_blocks_override;
  uint32_t tensor_parallel_size = 1;
  bool prefix_caching = true;
  std::string scheduling_policy = "fcfs";
  uint64_t seed = 0;
  std::vector<std::string> api_key;  // each of them opens
  bool enable_lora = false;
  std::vector<std::string> lora_modules;  // NAME=PATH, or JSON with name and path
  uint32_t max_loras = 1;
  bool enable_auto_tool_choice = false;
  std::string tool_call_parser;
  bool enable_force_include_usage = false;
  bool headless = false;
  KvEventFlags kv_events;
  KvTransferFlags kv_transfer;
  std::optional<double> kv_offloading_size;  // GiB of the host's memory
  std::optional<double> swap_space;          // the same, as earlier versions called it
  std::string kv_offloading_backend = "native";
  // Ours.
  std::string engine_profile{kDefaultEngineProfile};
  double time_scale = 1;
  uint16_t health_port = 0;
  std::string write_tokenizer;
  double shutdown_timeout_s = 30;
  double drain_delay_s = 0;
  bool tutorial_metrics = false;

  // The flags of vLLM that were given and change nothing here, by name; not filled by add_worker_flags().
  std::vector<std::string> without_effect;
};

// Adds the flags that are honoured to `command`. `flags` must outlive the parsing.
void add_worker_flags(CLI::App& command, WorkerFlags& flags);

// The flags and vLLM's variables (VLLM_...) as options of a server. The error names the flag.
Result<WorkerOptions> worker_options(const WorkerFlags& flags);

// How the worker publishes KV events; nullopt: not at all. The error names the flag or variable.
Result<std::optional<KvEventWriterOptions>> worker_kv_events(const WorkerFlags& flags,
                                                             const WorkerOptions& options);

// One line for each variable of vLLM that is set and cannot be honoured.
std::vector<std::string> ignored_variables();

}  // namespace kvasir

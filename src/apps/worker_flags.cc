#include "apps/worker_flags.h"

#include <CLI/CLI.hpp>
#include <array>
#include <charconv>
#include <cstdlib>
#include <string_view>

namespace kvasir {
namespace {

// Flags of vLLM that are accepted, so that its command lines work, and change nothing here.
constexpr std::array<const char*, 36> kIgnoredOptions = {"--kv-events-config",
                                                         "--kv-transfer-config",
                                                         "--swap-space",
                                                         "--quantization,-q",
                                                         "--max-num-prefill-tokens",
                                                         "--dtype",
                                                         "--kv-cache-dtype",
                                                         "--tokenizer",
                                                         "--tokenizer-mode",
                                                         "--revision",
                                                         "--download-dir",
                                                         "--load-format",
                                                         "--pipeline-parallel-size",
                                                         "--data-parallel-size",
                                                         "--distributed-executor-backend",
                                                         "--cpu-offload-gb",
                                                         "--kv-cache-memory-bytes",
                                                         "--prefix-caching-hash-algo",
                                                         "--max-num-partial-prefills",
                                                         "--max-long-partial-prefills",
                                                         "--long-prefill-token-threshold",
                                                         "--max-seq-len-to-capture",
                                                         "--compilation-config",
                                                         "--generation-config",
                                                         "--hf-overrides",
                                                         "--chat-template",
                                                         "--tool-call-parser",
                                                         "--reasoning-parser",
                                                         "--max-logprobs",
                                                         "--uvicorn-log-level",
                                                         "--root-path",
                                                         "--response-role",
                                                         "--api-server-count",
                                                         "--rope-scaling",
                                                         "--config-format",
                                                         "--override-generation-config"};
constexpr std::array<const char*, 13> kIgnoredSwitches = {"--enable-kv-events",
                                                          "--enforce-eager",
                                                          "--disable-log-stats",
                                                          "--disable-log-requests",
                                                          "--enable-log-requests",
                                                          "--no-enable-log-requests",
                                                          "--trust-remote-code",
                                                          "--enable-auto-tool-choice",
                                                          "--enable-request-id-headers",
                                                          "--async-scheduling",
                                                          "--enable-expert-parallel",
                                                          "--no-enable-chunked-prefill",
                                                          "--disable-hybrid-kv-cache-manager"};
// Flags for what is always so here.
constexpr std::array<const char*, 2> kAlwaysOn = {"--enable-chunked-prefill",
                                                  "--enable-prompt-tokens-details"};
constexpr std::array<const char*, 4> kIgnoredVariables = {
    "VLLM_KV_EVENT_ENABLED", "VLLM_KV_EVENT_ZMQ_ENDPOINT", "VLLM_KV_EVENT_INTERVAL_MS",
    "VLLM_SERVER_DEV_MODE"};

constexpr const char* kBlockSizeVariable = "VLLM_KV_BLOCK_SIZE";
constexpr const char* kKeepAliveVariable = "VLLM_HTTP_TIMEOUT_KEEP_ALIVE";
constexpr const char* kApiKeyVariable = "VLLM_API_KEY";

const char* variable(const char* name) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : nullptr;
}

Result<uint32_t> positive_variable(const char* name) {
  const std::string_view text = variable(name);
  uint32_t value = 0;
  const auto [end, failure] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (failure != std::errc() || end != text.data() + text.size() || value == 0) {
    return Error{std::string(name) + ": '" + std::string(text) + "' is not a number above 0"};
  }
  return value;
}

void add_ignored(CLI::App& command, WorkerFlags& flags) {
  const std::string group = "Flags of vLLM that are taken and change nothing here";
  for (const char* name : kIgnoredOptions) {
    command
        .add_option_function<std::string>(
            name, [&flags, name](const std::string&) { flags.ignored.emplace_back(name); })
        ->group(group);
  }
  for (const char* name : kIgnoredSwitches) {
    command.add_flag_function(name, [&flags, name](int64_t) { flags.ignored.emplace_back(name); })
        ->group(group);
  }
  for (const char* name : kAlwaysOn)
    command
        .add_flag_function(
            name, [](int64_t) {}, "Always so here")
        ->group(group);
}

void add_engine_flags(CLI::App& command, WorkerFlags& flags) {
  const std::string group = "Engine, as in vLLM (default: the engine profile's)";
  const auto positive = CLI::Range(uint32_t{1}, uint32_t{1} << 30);
  command.add_option("--max-num-seqs", flags.max_num_seqs, "Sequences in a step")
      ->check(positive)
      ->group(group);
  command
      .add_option("--max-num-batched-tokens", flags.max_num_batched_tokens,
                  "Token budget of a step")
      ->check(positive)
      ->group(group);
  command
      .add_option("--max-model-len", flags.max_model_len,
                  "Tokens of a prompt and its answer together")
      ->check(positive)
      ->group(group);
  command
      .add_option("--block-size", flags.block_size,
                  "Tokens in a KV block (also the variable VLLM_KV_BLOCK_SIZE)")
      ->check(CLI::Range(1, 4096))
      ->group(group);
  command
      .add_option("--gpu-memory-utilization", flags.gpu_memory_utilization,
                  "KV tokens become the profile's times this over the profile's own utilization")
      ->check(CLI::Range(0.01, 1.0))
      ->group(group);
  command
      .add_option("--num-gpu-blocks-override", flags.num_gpu_blocks_override,
                  "KV blocks, whatever the profile and the utilization say")
      ->check(positive)
      ->group(group);
  command
      .add_option("--tensor-parallel-size,--tp,-t", flags.tensor_parallel_size,
                  "Taken; step times and memory stay the profile's")
      ->check(CLI::Range(1, 1024))
      ->group(group);
  command
      .add_flag("--enable-prefix-caching,!--no-enable-prefix-caching", flags.prefix_caching,
                "Keep the blocks of earlier prompts (default: on)")
      ->group(group);
  command
      .add_option("--scheduling-policy,--scheduler-policy", flags.scheduling_policy,
                  "Order of waiting requests: fcfs or priority")
      ->check(CLI::IsMember({"fcfs", "priority"}))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--seed", flags.seed,
                  "Of the answers: the same seed and request give the same tokens")
      ->capture_default_str()
      ->group(group);
}

void add_server_flags(CLI::App& command, WorkerFlags& flags) {
  const std::string group = "Server, as in vLLM";
  command.add_option("--model", flags.model, "The model's name (default: the engine profile's)")
      ->group(group);
  command
      .add_option("--served-model-name", flags.served_model_name,
                  "Names that requests may use (default: the model's)")
      ->group(group);
  command.add_option("--host", flags.host, "Address to listen on")
      ->capture_default_str()
      ->group(group);
  command.add_option("--port", flags.port, "Port to listen on; 0 takes a free one")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--api-key", flags.api_key,
                  "Ask for this key on /v1 (also the variable VLLM_API_KEY)")
      ->group(group);
}

void add_own_flags(CLI::App& command, WorkerFlags& flags) {
  const std::string group = "Simulation";
  command
      .add_option("--engine-profile", flags.engine_profile,
                  "Sizes and step times: a built-in profile's name or a JSON file")
      ->capture_default_str()
      ->group(group);
  command.add_option("--time-scale", flags.time_scale, "Run that many times faster than life")
      ->check(CLI::Range(1e-6, 1e6))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--health-port", flags.health_port, "/health and /live on this port too; 0: off")
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--write-tokenizer", flags.write_tokenizer,
                  "Write the simulated tokenizer (Hugging Face format) into this folder and exit")
      ->group(group);
  command
      .add_flag("--tutorial-metrics", flags.tutorial_metrics,
                "Show vllm_queue_length and its like, and a simulated GPU utilisation, too")
      ->group(group);
  command
      .add_option("--shutdown-timeout", flags.shutdown_timeout_s,
                  "Seconds that running requests get after SIGTERM")
      ->check(CLI::NonNegativeNumber)
      ->capture_default_str()
      ->group(group);
}

// The profile with the flags and the block size variable put into it.
Result<EngineProfile> profile_of(const WorkerFlags& flags) {
  Result<EngineProfile> loaded = load_engine_profile(flags.engine_profile);
  if (!loaded) return Error{"--engine-profile: " + loaded.error().message};
  EngineProfile profile = std::move(*loaded);
  profile.max_num_seqs = flags.max_num_seqs.value_or(profile.max_num_seqs);
  profile.max_num_batched_tokens =
      flags.max_num_batched_tokens.value_or(profile.max_num_batched_tokens);
  profile.max_model_len = flags.max_model_len.value_or(profile.max_model_len);
  if (flags.block_size) {
    profile.block_size = *flags.block_size;
  } else if (variable(kBlockSizeVariable) != nullptr) {
    Result<uint32_t> block_size = positive_variable(kBlockSizeVariable);
    if (!block_size) return block_size.error();
    profile.block_size = *block_size;
  }
  if (flags.gpu_memory_utilization) {
    const double share = *flags.gpu_memory_utilization / profile.gpu_memory_utilization;
    profile.kv_tokens = static_cast<uint64_t>(static_cast<double>(profile.kv_tokens) * share);
    profile.gpu_memory_utilization = *flags.gpu_memory_utilization;
  }
  if (flags.num_gpu_blocks_override) {
    profile.kv_tokens = *flags.num_gpu_blocks_override * profile.block_size;
  }
  const uint64_t capacity = profile.kv_blocks() * profile.block_size;
  if (capacity < profile.max_model_len) {
    return Error{"--max-model-len: one request of " + std::to_string(profile.max_model_len) +
                 " tokens does not fit the KV cache of " + std::to_string(capacity) +
                 "; lower it, or raise --gpu-memory-utilization or --num-gpu-blocks-override"};
  }
  return profile;
}

}  // namespace

void add_worker_flags(CLI::App& command, WorkerFlags& flags) {
  add_server_flags(command, flags);
  add_engine_flags(command, flags);
  add_own_flags(command, flags);
  add_ignored(command, flags);
}

Result<WorkerOptions> worker_options(const WorkerFlags& flags) {
  WorkerOptions options;
  Result<EngineProfile> profile = profile_of(flags);
  if (!profile) return profile.error();
  options.profile = std::move(*profile);
  options.engine.order =
      flags.scheduling_policy == "priority" ? WaitingOrder::kPriority : WaitingOrder::kFcfs;
  options.engine.prefix_caching = flags.prefix_caching;
  options.model.root = flags.model.empty() ? options.profile.model : flags.model;
  options.model.names = flags.served_model_name;
  if (options.model.names.empty()) options.model.names = {options.model.root};
  options.model.max_model_len = options.profile.max_model_len;
  options.seed = flags.seed;
  options.time_scale = flags.time_scale;
  options.tutorial_metrics = flags.tutorial_metrics;
  options.api_key = flags.api_key;
  if (options.api_key.empty() && variable(kApiKeyVariable) != nullptr) {
    options.api_key = variable(kApiKeyVariable);
  }
  options.limits.head_bytes = kWorkerHeadBytes;
  if (variable(kKeepAliveVariable) != nullptr) {
    Result<uint32_t> seconds = positive_variable(kKeepAliveVariable);
    if (!seconds) return seconds.error();
    options.limits.keep_alive_timeout = std::chrono::seconds(*seconds);
  }
  return options;
}

std::vector<std::string> ignored_variables() {
  std::vector<std::string> names;
  for (const char* name : kIgnoredVariables) {
    if (variable(name) != nullptr) names.emplace_back(name);
  }
  return names;
}

}  // namespace kvasir

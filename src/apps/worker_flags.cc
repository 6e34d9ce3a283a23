#include "apps/worker_flags.h"

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <charconv>
#include <cstdlib>
#include <nlohmann/json.hpp>
#include <string_view>

#include "apps/duration_flag.h"
#include "apps/engine_profile_flag.h"
#include "apps/number_checks.h"
#include "apps/vllm_command_line.h"

namespace kvasir {
namespace {

constexpr std::array<const char*, 1> kIgnoredVariables = {"VLLM_SERVER_DEV_MODE"};

// Of the simulated KV cache; each takes some 100 bytes.
constexpr uint64_t kKvBlocksMost = 1 << 24;

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

void read_length(const std::string& value, WorkerFlags& flags) {
  uint32_t length = 0;
  flags.auto_max_model_len = value == kAutoLength;
  if (flags.auto_max_model_len) return;
  const auto [end, failure] = std::from_chars(value.data(), value.data() + value.size(), length);
  if (failure != std::errc() || end != value.data() + value.size() || length == 0) {
    throw CLI::ValidationError("--max-model-len", "'" + value + "' is no number of tokens");
  }
  flags.max_model_len = length;
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
      .add_option_function<std::string>(
          "--max-model-len", [&flags](const std::string& value) { read_length(value, flags); },
          "Tokens of a prompt and its answer together; auto: as many as fit the KV cache")
      ->type_name("COUNT|auto")
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
      .add_option("--tensor-parallel-size", flags.tensor_parallel_size,
                  "Taken (also -tp); step times and memory stay the profile's")
      ->check(CLI::Range(1, 1024))
      ->group(group);
  command
      .add_flag("--enable-prefix-caching", flags.prefix_caching,
                "Keep the blocks of earlier prompts (default: on; --no-enable-prefix-caching)")
      ->group(group);
  command
      .add_option("--scheduling-policy", flags.scheduling_policy,
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
  command
      .add_option("--model", flags.model,
                  "The model's name, also as the first word (default: the engine profile's)")
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
                  "Ask for one of these keys on /v1 (also the variable VLLM_API_KEY)")
      ->group(group);
  command
      .add_flag("--enable-force-include-usage", flags.enable_force_include_usage,
                "Token counts at the end of every stream, asked for or not")
      ->group(group);
  command
      .add_flag("--headless", flags.headless,
                "A rank without an API of its own: serve nothing, and wait for the end")
      ->group(group);
  command
      .add_option("--shutdown-timeout", flags.shutdown_timeout_s,
                  "Seconds that running requests get after SIGTERM")
      ->check(from_zero())
      ->capture_default_str()
      ->group(group);
}

void add_cache_flags(CLI::App& command, WorkerFlags& flags) {
  const std::string group = "KV events and the cache on the CPU, as in vLLM";
  command
      .add_option("--kv-events-config", flags.kv_events.kv_events_config,
                  "Publish KV events over ZeroMQ: a JSON object with enable_kv_cache_events, and\n"
                  "endpoint (tcp://*:5557), replay_endpoint, topic, buffer_steps, hwm,\n"
                  "max_queue_size (also one by one: --kv-events-config.endpoint tcp://*:5557)")
      ->type_name("JSON")
      ->group(group);
  command
      .add_flag("--enable-kv-events", flags.kv_events.enable_kv_events,
                "Publish them with vLLM's defaults (also the variables VLLM_KV_EVENT_ENABLED,\n"
                "VLLM_KV_EVENT_ZMQ_ENDPOINT, VLLM_KV_EVENT_INTERVAL_MS)")
      ->group(group);
  command
      .add_option(
          "--prefix-caching-hash-algo", flags.kv_events.prefix_caching_hash_algo,
          "Name blocks in KV events as vLLM does, with the seed in PYTHONHASHSEED: sha256,\n"
          "sha256_cbor, xxhash or xxhash_cbor (default: by a cheaper hash of our own)")
      ->check(CLI::IsMember({"sha256", "sha256_cbor", "xxhash", "xxhash_cbor"}))
      ->group(group);
  command
      .add_option("--data-parallel-rank", flags.kv_events.data_parallel_rank,
                  "Stands in KV events, and is added to their ports; nothing else changes")
      ->check(CLI::Range(0, 1023))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--kv-offloading-size", flags.kv_offloading_size,
                  "GiB of the host's memory that keep the blocks which the GPU's cache gives up\n"
                  "(also --swap-space)")
      ->check(from_zero())
      ->group(group);
  command
      .add_option("--kv-offloading-backend", flags.kv_offloading_backend,
                  "native or lmcache: taken, both keep the same here")
      ->check(CLI::IsMember({"native", "lmcache"}))
      ->capture_default_str()
      ->group(group);
  command.add_option("--swap-space", flags.swap_space)->check(from_zero())->group("");
}

void read_scale(const std::string& value, std::optional<uint32_t>& scale) {
  uint32_t number = kKvScale;
  const char* const end = value.data() + value.size();
  const auto read = std::from_chars(value.data(), end, number);
  const bool given = !value.empty();
  if (given && (read.ec != std::errc() || read.ptr != end || number > kKvScaleMost)) {
    throw CLI::ValidationError("--kv-bytes", "'" + value + "' is not a whole number from 0 to " +
                                                 std::to_string(kKvScaleMost));
  }
  scale = number;
}

void add_transfer_flags(CLI::App& command, WorkerFlags& flags) {
  const std::string group = "Prefill here, decode there (docs/KV_TRANSFER.md)";
  command
      .add_option("--kv-transfer-config", flags.kv_transfer.kv_transfer_config,
                  "As in vLLM: how KV blocks get from and to other workers, a JSON object such as\n"
                  "{\"kv_connector\":\"NixlConnector\",\"kv_role\":\"kv_both\"}; NixlConnector,\n"
                  "P2pNcclConnector, ExampleConnector or LMCacheConnectorV1 (also one by one:\n"
                  "--kv-transfer-config.kv_role kv_both; also the variables\n"
                  "VLLM_NIXL_SIDE_CHANNEL_HOST, VLLM_NIXL_SIDE_CHANNEL_PORT, LMCACHE_REMOTE_URL)")
      ->type_name("JSON")
      ->group(group);
  command
      .add_option_function<std::string>(
          "--kv-bytes",
          [&flags](const std::string& scale) { read_scale(scale, flags.kv_transfer.kv_bytes); },
          "Give KV blocks bytes, a real engine's number over SCALE (1024 without one), and\n"
          "answers that depend on them: then a worker alone answers as a pair of the same\n"
          "seed does. On with --kv-transfer-config; 0: off")
      ->type_name("[SCALE]")
      ->expected(0, 1)
      ->group(group);
}

void add_model_flags(CLI::App& command, WorkerFlags& flags) {
  const std::string group = "Adapters and tools, as in vLLM";
  command.add_flag("--enable-lora", flags.enable_lora, "Serve the adapters of --lora-modules")
      ->group(group);
  command
      .add_option("--lora-modules", flags.lora_modules,
                  "Adapters, served under their names: NAME=PATH or {\"name\": ..., \"path\": ...}")
      ->group(group);
  command
      .add_option("--max-loras", flags.max_loras, "Adapters in a batch, as the metrics show it")
      ->check(CLI::Range(1, 1 << 20))
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--tool-call-parser", flags.tool_call_parser,
                  "Any name: lets requests force a call of a tool that they declare")
      ->group(group);
  command
      .add_flag("--enable-auto-tool-choice", flags.enable_auto_tool_choice,
                "With --tool-call-parser: answers to a user's message call a declared tool")
      ->group(group);
}

void add_own_flags(CLI::App& command, WorkerFlags& flags) {
  const std::string group = "Simulation";
  add_engine_profile_flag(command, flags.engine_profile, "Sizes and step times")->group(group);
  command.add_option("--time-scale", flags.time_scale, "Run that many times faster than life")
      ->check(time_scale_check())
      ->capture_default_str()
      ->group(group);
  command
      .add_option("--health-port", flags.health_port, "/health and /live on this port too; 0: off")
      ->capture_default_str()
      ->group(group);
  add_seconds_flag(
      command, "--drain-delay", flags.drain_delay_s,
      "After SIGTERM, how long new requests are still served before --shutdown-timeout begins:\n"
      "until nobody sends any (in Kubernetes: 5s)")
      ->check(from_zero())
      ->group(group);
  command
      .add_option("--write-tokenizer", flags.write_tokenizer,
                  "Write the simulated tokenizer (Hugging Face format) into this folder and exit")
      ->group(group);
  command
      .add_flag("--tutorial-metrics", flags.tutorial_metrics,
                "Show vllm_queue_length and its like, and a simulated GPU utilisation, too")
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
  if (flags.gpu_memory_utilization && profile.gpu_memory_utilization > 0) {
    const double share = *flags.gpu_memory_utilization / profile.gpu_memory_utilization;
    profile.kv_tokens =
        static_cast<uint64_t>(std::min(static_cast<double>(profile.kv_tokens) * share, 1e15));
    profile.gpu_memory_utilization = *flags.gpu_memory_utilization;
  }
  if (flags.num_gpu_blocks_override) {
    profile.kv_tokens = uint64_t{*flags.num_gpu_blocks_override} * profile.block_size;
  }
  if (profile.kv_blocks() > kKvBlocksMost) {
    return Error{"a KV cache of " + std::to_string(profile.kv_blocks()) + " blocks: at most " +
                 std::to_string(kKvBlocksMost) +
                 " are simulated; lower --num-gpu-blocks-override or raise --block-size"};
  }
  const uint64_t capacity = profile.kv_blocks() * profile.block_size;
  if (flags.auto_max_model_len) {
    profile.max_model_len =
        static_cast<uint32_t>(std::min<uint64_t>(profile.max_model_len, capacity));
  }
  if (capacity < profile.max_model_len) {
    return Error{"--max-model-len: one request of " + std::to_string(profile.max_model_len) +
                 " tokens does not fit the KV cache of " + std::to_string(capacity) +
                 "; lower it, or raise --gpu-memory-utilization or --num-gpu-blocks-override"};
  }
  return profile;
}

// Blocks of the CPU tier.
Result<uint32_t> cpu_blocks_of(const WorkerFlags& flags, const EngineProfile& profile) {
  const char* name = flags.kv_offloading_size ? "--kv-offloading-size" : "--swap-space";
  const double gib = flags.kv_offloading_size.value_or(flags.swap_space.value_or(0));
  if (gib == 0) return 0;
  if (profile.kv_bytes_per_token == 0) {
    return Error{std::string(name) + ": the profile " + profile.name +
                 " does not say its kv_bytes_per_token"};
  }
  const double blocks =
      gib * (1 << 30) / static_cast<double>(profile.kv_bytes_per_token * profile.block_size);
  if (blocks > static_cast<double>(kKvBlocksMost)) {
    return Error{std::string(name) + ": at most " + std::to_string(kKvBlocksMost) +
                 " blocks are simulated"};
  }
  return static_cast<uint32_t>(blocks);
}

// Who publishes, where events of many workers come together: llm-d's convention.
std::string pod_topic(const WorkerFlags& flags, const WorkerOptions& options) {
  std::array<char, 256> host{};
  gethostname(host.data(), host.size() - 1);
  const char* pod = variable("POD_NAME");
  return "kv@" + std::string(pod != nullptr ? pod : host.data()) + ":" +
         std::to_string(flags.port) + "@" + options.model.names.front();
}

// NAME=PATH, or a JSON object with name, path and base_model_name.
Result<LoraAdapter> adapter_of(const std::string& text) {
  LoraAdapter adapter;
  if (text.empty() || text.front() != '{') {
    const size_t equals = text.find('=');
    if (equals == 0 || equals == std::string::npos) {
      return Error{"--lora-modules: '" + text + "' is neither NAME=PATH nor a JSON object"};
    }
    adapter.name = text.substr(0, equals);
    adapter.path = text.substr(equals + 1);
    return adapter;
  }
  const auto json = nlohmann::json::parse(text, nullptr, false);
  const auto member = [&](const char* name) -> std::string {
    const bool found = json.is_object() && json.contains(name) && json[name].is_string();
    return found ? json[name].get<std::string>() : "";
  };
  adapter.name = member("name");
  adapter.path = member("path");
  adapter.base = member("base_model_name");
  if (adapter.name.empty()) {
    return Error{"--lora-modules: '" + text + "' is not a JSON object with a name"};
  }
  return adapter;
}

Result<std::vector<LoraAdapter>> adapters_of(const WorkerFlags& flags) {
  std::vector<LoraAdapter> adapters;
  for (const std::string& text : flags.lora_modules) {
    if (text.empty()) continue;
    Result<LoraAdapter> adapter = adapter_of(text);
    if (!adapter) return adapter.error();
    adapters.push_back(std::move(*adapter));
  }
  return adapters;
}

}  // namespace

void add_worker_flags(CLI::App& command, WorkerFlags& flags) {
  add_server_flags(command, flags);
  add_model_flags(command, flags);
  add_engine_flags(command, flags);
  add_cache_flags(command, flags);
  add_transfer_flags(command, flags);
  add_own_flags(command, flags);
}

Result<WorkerOptions> worker_options(const WorkerFlags& flags) {
  WorkerOptions options;
  Result<EngineProfile> profile = profile_of(flags);
  if (!profile) return profile.error();
  options.profile = std::move(*profile);
  options.engine.order =
      flags.scheduling_policy == "priority" ? WaitingOrder::kPriority : WaitingOrder::kFcfs;
  options.engine.prefix_caching = flags.prefix_caching;
  const Result<uint32_t> cpu_blocks = cpu_blocks_of(flags, options.profile);
  if (!cpu_blocks) return cpu_blocks.error();
  options.engine.cpu_blocks = *cpu_blocks;
  options.model.root = flags.model.empty() ? options.profile.model : flags.model;
  options.model.names = flags.served_model_name;
  if (options.model.names.empty()) options.model.names = {options.model.root};
  options.model.max_model_len = options.profile.max_model_len;
  options.seed = flags.seed;
  options.time_scale = flags.time_scale;
  options.tutorial_metrics = flags.tutorial_metrics;
  options.api_keys = flags.api_key;
  if (options.api_keys.empty() && variable(kApiKeyVariable) != nullptr) {
    options.api_keys = {variable(kApiKeyVariable)};
  }
  options.force_include_usage = flags.enable_force_include_usage;
  if (flags.enable_auto_tool_choice && flags.tool_call_parser.empty()) {
    return Error{"--enable-auto-tool-choice: it needs --tool-call-parser (any name will do)"};
  }
  options.tools.parser = !flags.tool_call_parser.empty();
  options.tools.automatic = flags.enable_auto_tool_choice;
  Result<std::vector<LoraAdapter>> adapters = adapters_of(flags);
  if (!adapters) return adapters.error();
  options.model.adapters = std::move(*adapters);
  options.model.adapters_most = flags.max_loras;
  options.model.lora = flags.enable_lora || !options.model.adapters.empty();
  options.limits.head_bytes = kWorkerHeadBytes;
  if (variable(kKeepAliveVariable) != nullptr) {
    Result<uint32_t> seconds = positive_variable(kKeepAliveVariable);
    if (!seconds) return seconds.error();
    options.limits.keep_alive_timeout = std::chrono::seconds(*seconds);
  }
  return options;
}

Result<std::optional<KvEventWriterOptions>> worker_kv_events(const WorkerFlags& flags,
                                                             const WorkerOptions& options) {
  auto events = kv_event_options(flags.kv_events, pod_topic(flags, options));
  if (!events || !*events) return events;
  for (const LoraAdapter& adapter : options.model.adapters) {
    (*events)->adapter_paths[adapter.name] = adapter.path;
  }
  return events;
}

std::vector<std::string> ignored_variables() {
  std::vector<std::string> names;
  for (const char* name : kIgnoredVariables) {
    if (variable(name) != nullptr) names.emplace_back(name);
  }
  return names;
}

}  // namespace kvasir

#include <unistd.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <csignal>
#include <memory>
#include <utility>

#include "apps/commands.h"
#include "apps/open_ports.h"
#include "apps/vllm_command_line.h"
#include "apps/worker_flags.h"
#include "engine/kv_memory.h"
#include "net/io/event_loop.h"
#include "net/io/flag_address.h"
#include "net/io/signal_watcher.h"
#include "net/io/socket.h"
#include "net/io/system_resolver.h"
#include "telemetry/log.h"
#include "tokens/tokenizer_json.h"
#include "transfer/make_connector.h"
#include "worker/health_server.h"
#include "worker/worker_server.h"

namespace kvasir {
namespace {

constexpr const char* kExamples =
    "Examples:\n"
    "  kvasir worker                                   Qwen3-32B on one H200, as fast as life, "
    "port 8000\n"
    "  kvasir worker --port 8001 --time-scale 10       ten times faster than life\n"
    "  kvasir worker my/model --max-num-seqs 256 --max-model-len 32k --enable-auto-tool-choice "
    "--tool-call-parser hermes\n"
    "  kvasir worker vllm serve my/model -tp 2 -O3 --enforce-eager   any line of a "
    "vLLM guide\n"
    "  kvasir worker --config flags.yaml               vLLM's file of flags: a map of names and "
    "values\n"
    "  kvasir worker --args-file args.txt              a command line in a file: over several "
    "lines, with # comments\n"
    "  kvasir worker --engine-profile my_gpu.json      your own sizes and step times\n"
    "  curl -N localhost:8000/v1/completions -H 'Content-Type: application/json' \\\n"
    "    -d '{\"prompt\": \"Hello\", \"max_tokens\": 8, \"stream\": true}'";

constexpr const char* kDescription =
    "Serve the API of vLLM 0.32.0 from a simulated engine: the timing of a GPU without one.\n"
    "Takes the command line of `vllm serve`: the model first, and every flag of vLLM's; those that are "
    "not listed\nbelow have no effect here, and one line at start names them.";

void log_without_effect(const WorkerFlags& flags, const EngineProfile& profile) {
  std::string names;
  for (const std::string& name : flags.without_effect) names.append(names.empty() ? "" : ", ").append(name);
  if (!names.empty()) log_info("flags of vLLM without effect here: " + names);
  for (const std::string& name : ignored_variables()) {
    log_warning("the variable " + name + " is set and changes nothing here");
  }
  if (flags.tensor_parallel_size > 1) {
    log_warning(
        "--tensor-parallel-size changes nothing here: step times and memory are those of profile " +
        profile.name);
  }
  if (!flags.model.empty() && flags.model != profile.model) {
    log_warning("--model is a name here: sizes and step times are those of profile " +
                profile.name + " (" + profile.model + ")");
  }
}

// The line that says where and what is served.
std::string serving_line(const WorkerFlags& flags, const WorkerOptions& options, uint16_t port) {
  const EngineProfile& profile = options.profile;
  return "serving on http://" + to_string(HostPort{flags.host, port}) + ", model " +
         options.model.names.front() + ", KV cache of " + std::to_string(profile.kv_blocks()) +
         " blocks (" + std::to_string(profile.kv_blocks() * profile.block_size) + " tokens)";
}

// A rank without an API: nothing listens, but for the health port.
int wait_for_end(EventLoop& loop, const WorkerFlags& flags) {
  std::unique_ptr<HealthServer> health;
  if (flags.health_port != 0) {
    Result<Descriptor> listener =
        listen_on_flag("--health-port", flags.host, flags.health_port, false);
    if (!listener) return fail_command("worker", 1, listener.error().message);
    health = std::make_unique<HealthServer>(loop, std::move(*listener));
  }
  Result<std::unique_ptr<SignalWatcher>> signals =
      SignalWatcher::create(loop, {SIGINT, SIGTERM, SIGHUP}, [&loop](int) { loop.stop(); });
  if (!signals) return fail_command("worker", 1, signals.error().message);
  log_info("--headless: this rank serves nothing and waits for SIGTERM");
  loop.run();
  return 0;
}

// Null: events are off.
Result<std::unique_ptr<KvEventWriter>> start_events(EventLoop& loop, Resolver& resolver,
                                                    const KvEventFlags& flags,
                                                    std::optional<KvEventWriterOptions> asked,
                                                    bool prefix_caching) {
  if (!asked) {
    log_info("KV_EVENT publishing is off (" + kv_events_are_off(flags) + ")");
    return std::unique_ptr<KvEventWriter>();
  }
  const std::vector<std::string> warnings = kv_event_warnings(*asked, prefix_caching);
  Result<std::unique_ptr<KvEventWriter>> events =
      KvEventWriter::start(loop, resolver, std::move(*asked));
  if (!events) return Error{"KV events: " + events.error().message};
  log_info("KV_EVENT publishing " + (*events)->description());
  for (const std::string& warning : warnings) log_warning("KV_EVENT " + warning);
  for (const std::string& bound :
       {(*events)->publisher().bound_endpoint(), (*events)->publisher().bound_replay_endpoint()}) {
    if (bound.rfind("tcp://0.0.0.0:", 0) != 0 && bound.rfind("tcp://[::]:", 0) != 0) continue;
    log_warning("KV_EVENT whoever reaches " + bound + " reads the tokens of prompts and answers");
  }
  return events;
}

// Bytes for the engine's blocks, if they are to have any.
Result<void> give_memory(const WorkerFlags& flags, const std::optional<KvTransferConfig>& transfer,
                         WorkerOptions& options) {
  const Result<uint32_t> scale = kv_bytes_scale(flags.kv_transfer);
  if (!scale) return scale.error();
  if (*scale == 0) return {};
  std::string shared_name;
  if (transfer && transfer->transport == KvTransferConfig::Transport::kShm) {
    shared_name = "/kvasir-" + std::to_string(getpid()) + "-" + std::to_string(flags.port);
  }
  const KvLayout layout = KvLayout::of(options.profile, *scale);
  const auto blocks = static_cast<uint32_t>(options.profile.kv_blocks());
  Result<KvMemory> memory = KvMemory::create(blocks, layout, shared_name);
  if (!memory) return Error{"--kv-bytes: " + memory.error().message};
  options.engine.memory = std::make_shared<KvMemory>(std::move(*memory));
  log_info("KV blocks have " + std::to_string(layout.block_bytes()) + " bytes each, 1/" +
           std::to_string(*scale) + " of a real engine's (--kv-bytes)");
  return {};
}

// From now on blocks travel.
Result<void> connect(EventLoop& loop, WorkerServer& server, const WorkerOptions& options,
                     KvTransferConfig config) {
  // A link has the speed that it says in the worker's own time.
  config.link.gb_per_s *= options.time_scale;
  config.link.latency = scaled(config.link.latency, 1 / options.time_scale);
  if (config.http_port == 0) config.http_port = server.port();
  Result<std::unique_ptr<KvConnector>> connector = make_kv_connector(
      config, options.model.root, *options.engine.memory, loop, server.kv_owner());
  if (!connector) return Error{"--kv-transfer-config: " + connector.error().message};
  server.set_connector(std::move(*connector), config.recompute_on_failure,
                       config.kind == KvTransferKind::kNixl);
  log_info(describe(config));
  std::string unread;
  for (const std::string& sentence : config.without_effect) {
    unread.append(unread.empty() ? "" : "; ").append(sentence);
  }
  if (!unread.empty()) log_warning("KV transfer, not in effect: " + unread);
  return {};
}

// Runs until the loop is stopped.
int serve(EventLoop& loop, const WorkerFlags& flags, WorkerOptions options,
          std::optional<KvEventWriterOptions> asked, std::optional<KvTransferConfig> transfer) {
  Result<Descriptor> listener = listen_on_flag("--port", flags.host, flags.port, false);
  if (!listener) return fail_command("worker", 1, listener.error().message);
  SystemResolver resolver;
  const Result<std::unique_ptr<KvEventWriter>> events = start_events(
      loop, resolver, flags.kv_events, std::move(asked), options.engine.prefix_caching);
  if (!events) return fail_command("worker", 1, events.error().message);
  WorkerServer server(loop, std::move(*listener), options, events->get());
  if (transfer) {
    const Result<void> connected = connect(loop, server, options, *transfer);
    if (!connected) return fail_command("worker", 1, connected.error().message);
  }
  std::unique_ptr<HealthServer> health;
  if (flags.health_port != 0) {
    Result<Descriptor> health_listener =
        listen_on_flag("--health-port", flags.host, flags.health_port, false);
    if (!health_listener) return fail_command("worker", 1, health_listener.error().message);
    health = std::make_unique<HealthServer>(loop, std::move(*health_listener));
  }
  const auto refuse_new = [&] {
    log_info("stopping: finishing running requests, refusing new ones");
    loop.after(from_seconds(flags.shutdown_timeout_s), [&loop] { loop.stop(); });
    server.drain([&loop] { loop.stop(); });
  };
  const auto stop = [&, stopping = false](int) mutable {
    if (std::exchange(stopping, true)) return loop.stop();
    if (flags.drain_delay_s <= 0) return refuse_new();
    log_info("stopping soon: serving on until nobody sends requests here (--drain-delay)");
    server.close_after_answers();
    loop.after(from_seconds(flags.drain_delay_s), refuse_new);
  };
  Result<std::unique_ptr<SignalWatcher>> signals =
      SignalWatcher::create(loop, {SIGINT, SIGTERM, SIGHUP}, stop);
  if (!signals) return fail_command("worker", 1, signals.error().message);
  log_info(serving_line(flags, options, server.port()));
  std::vector<OpenPort> ports = {{"HTTP", server.port()}};
  if (flags.health_port != 0) ports.push_back({"health", flags.health_port});
  if (const std::string open = open_ports_warning(flags.host, ports); !open.empty()) {
    log_warning(open);
  }
  if (transfer) {
    const std::string open = kv_transfer_warning(*transfer);
    if (!open.empty()) log_warning(open);
  }
  loop.run();
  return 0;
}

int run_worker(WorkerFlags flags) {
  set_log_component("worker");
  if (!flags.write_tokenizer.empty()) {
    const Result<void> written = write_tokenizer(flags.write_tokenizer);
    return written ? 0 : fail_command("worker", 1, "--write-tokenizer: " + written.error().message);
  }
  raise_descriptor_limit();
  if (const std::string why = take_out_unsimulated(flags.kv_transfer); !why.empty()) {
    log_warning("--kv-transfer-config: " + why);
  }
  Result<WorkerOptions> options = worker_options(flags);
  if (!options) return fail_command("worker", 2, options.error().message);
  Result<std::optional<KvEventWriterOptions>> events = worker_kv_events(flags, *options);
  if (!events) return fail_command("worker", 2, events.error().message);
  Result<std::optional<KvTransferConfig>> transfer =
      kv_transfer_options(flags.kv_transfer, flags.kv_events.data_parallel_rank);
  if (!transfer) return fail_command("worker", 2, transfer.error().message);
  const Result<void> memory = give_memory(flags, *transfer, *options);
  if (!memory) return fail_command("worker", 2, memory.error().message);
  log_info("Loading model " + options->model.root + " (profile " + options->profile.name + ")");
  log_without_effect(flags, options->profile);
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return fail_command("worker", 1, loop.error().message);
  if (flags.headless) return wait_for_end(**loop, flags);
  return serve(**loop, flags, std::move(*options), std::move(*events), std::move(*transfer));
}

}  // namespace

void add_worker_command(CLI::App& app, int&) {
  // For the list of subcommands only: main() gives the rest of the line to run_worker_command().
  app.add_subcommand("worker", kDescription);
}

int run_worker_command(const std::vector<std::string>& arguments) {
  CLI::App command(kDescription, "kvasir worker");
  WorkerFlags flags;
  add_worker_flags(command, flags);
  command.footer(kExamples);
  Result<VllmCommandLine> line = read_vllm_command_line(arguments);
  if (!line) return fail_command("worker", 2, line.error().message);
  flags.without_effect = std::move(line->without_effect);
  std::reverse(line->arguments.begin(), line->arguments.end());
  try {
    command.parse(line->arguments);
  } catch (const CLI::ParseError& error) {
    return command.exit(error) == 0 ? 0 : 2;
  }
  return run_worker(std::move(flags));
}

}  // namespace kvasir

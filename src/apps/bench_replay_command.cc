#include <CLI/CLI.hpp>
#include <memory>

#include "apps/bench_commands.h"
#include "apps/commands.h"
#include "bench/http_fetch.h"
#include "bench/output_file.h"
#include "bench/replay_run.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "net/io/system_resolver.h"
#include "wire/model_list.h"

namespace kvasir {
namespace {

constexpr Duration kModelListTimeout = std::chrono::seconds(10);

struct ReplayFlags {
  WorkloadFlags shared;
  std::string url = "http://127.0.0.1:8000";
  std::string model;
  std::string output;
  std::string name = "replay";
};

// The model that was named, else the server's first.
Result<std::string> find_model(EventLoop& loop, const HostPort& origin, const std::string& named) {
  if (!named.empty()) return named;
  SystemResolver resolver;
  const Result<std::string> answer =
      fetch_body(loop, resolver, origin, "/v1/models", kModelListTimeout);
  if (!answer) return Error{answer.error().message + "; is the endpoint up? (--url, --model)"};
  const Result<std::vector<ListedModel>> models = parse_model_list(*answer);
  if (!models) return Error{"/v1/models: " + models.error().message + " (name one with --model)"};
  if (models->empty()) return Error{"/v1/models lists none (name one with --model)"};
  return models->front().id;
}

int run_replay_command(const ReplayFlags& flags) {
  const Result<HostPort> origin = parse_http_origin(flags.url);
  if (!origin) return complain("--url: " + origin.error().message, 2);
  if (const Result<void> writable = check_json_file(flags.shared); !writable) {
    return complain(writable.error().message);
  }
  if (!flags.output.empty()) {
    const Result<void> writable = check_output_file(flags.output);
    if (!writable) return complain("--output " + writable.error().message);
    const Result<void> other = check_is_not_trace(flags.shared, flags.output);
    if (!other) return complain("--output " + other.error().message);
  }
  Report report;
  const Result<Workload> workload = load_workload(flags.shared, report);
  if (!workload) return complain(workload.error().message, 2);
  raise_descriptor_limit();
  Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
  if (!loop) return complain(loop.error().message);
  const Result<std::string> model = find_model(**loop, *origin, flags.model);
  if (!model) return complain(model.error().message);

  ReplayRunOptions options;
  options.replay.origins = {*origin};
  options.replay.completion = {*model, flags.shared.seed, flags.shared.token_ids,
                               flags.shared.ignore_eos};
  options.replay.time_scale = flags.shared.time_scale;
  options.replay.timeout = from_seconds(flags.shared.timeout_s);
  options.output_file = flags.output;
  options.label = flags.name;
  options.stop_at_signals = true;
  const Result<std::vector<Outcome>> outcomes = run_replay(**loop, *workload, options);
  if (!outcomes) return complain(outcomes.error().message);
  const bool interrupted = outcomes->size() < workload->size();
  if (interrupted) {
    complain("interrupted: " + std::to_string(outcomes->size()) + " of " +
             std::to_string(workload->size()) + " rows have ended, and the report is of them");
    if (outcomes->empty()) return 1;
  }

  report.model = *model;
  report.arms.push_back(measure(flags.name, *outcomes, flags.shared.time_scale));
  const int exit_code = deliver_report(report, flags.shared);
  return interrupted ? 1 : exit_code;
}

}  // namespace

void add_bench_replay_command(CLI::App& bench, int& exit_code) {
  const auto flags = std::make_shared<ReplayFlags>();
  CLI::App* command =
      bench.add_subcommand("replay", "Send a recorded workload to an endpoint, at its own pace");
  command->add_option("--url", flags->url, "The endpoint")->capture_default_str();
  command->add_option("--model", flags->model,
                      "The model to ask for (default: the endpoint's first)");
  add_workload_flags(*command, flags->shared);
  command->add_option("--output", flags->output, "Write a JSON line for each request to this file");
  command->add_option("--name", flags->name, "What the report calls this run")
      ->capture_default_str();
  command->footer(
      "Examples:\n"
      "  kvasir up                                # in another terminal\n"
      "  kvasir bench replay                      # the built-in trace against it\n"
      "  kvasir bench replay --trace conversation_trace.jsonl --requests 500 --output "
      "requests.jsonl\n"
      "  kvasir bench replay --speed 2            # the same rows in half the time\n"
      "  kvasir up --time-scale 5, then kvasir bench replay --time-scale 5\n"
      "                                           # five times faster than life, same figures\n"
      "\n"
      "Each row is sent when it is due, whatever became of the others (open loop), and latencies "
      "count\n"
      "from that moment. A later row of a session_id is due its delay after the answer before it.\n"
      "Prompts are made from the trace's hash_ids: same row and seed, same bytes; text_input is sent "
      "as it is.\n"
      "A row with messages, and tools, is sent to /v1/chat/completions with exactly those.\n"
      "When no row has a timestamp, all that follow no other are sent at once.\n"
      "A row whose token counts are not those of the trace is an error (\"count mismatch\").\n"
      "Ctrl-C ends it early: --output keeps the rows that have ended, and the report is of them.\n"
      "Exit status: 0 all answered as asked; 1 some failed, it was interrupted, or the client fell "
      "behind;\n2 wrong flags.");
  command->callback([flags, &exit_code] { exit_code = run_replay_command(*flags); });
}

}  // namespace kvasir

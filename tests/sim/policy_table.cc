// A table of all arms on one workload, on virtual time:
//
//   policy_table --trace conversation_trace.jsonl --pace 1.3 --kv-tokens 370000
//   policy_table --trace arxiv_first_1000.jsonl --pace 4 --max-model-len 40960 --delay-ms 40
#include <CLI/CLI.hpp>
#include <cmath>
#include <cstdio>

#include "arms.h"
#include "difference_interval.h"

namespace kvasir {
namespace {

struct TableFlags {
  std::string trace;
  std::string profile{kDefaultEngineProfile};
  std::vector<std::string> arms;
  size_t rows = SIZE_MAX;
  uint32_t workers = 8;
  double pace = 1;
  uint64_t seeds = 5;
  double bin_s = 3;
  double delay_ms = 0;
  double hold_threshold_s = to_seconds(kHoldThreshold);
  uint32_t gateways = 1;
  double kv_event_lag_ms = -1;  // negative: the arms' own
  std::string against;          // an arm
  uint64_t kv_tokens = 0;
  uint32_t max_model_len = 0;
};

// Means over the arrivals.
struct Line {
  double ttft_ms = 0;
  double ttft_squares = 0;
  double p99_s = 0;
  double latency_s = 0;
  double itl_ms = 0;
  double rate = 0;
  double hits = 0;
  double held_most_s = 0;
  size_t served = 0;
  std::vector<double> each_ttft_ms;  // of one arrival pattern after the other
  std::vector<double> each_hits;
};

SimulatedWorkload arrivals(const SimulatedWorkload& rows, const TableFlags& flags, uint64_t seed) {
  SimulatedWorkload workload = rows;
  if (flags.delay_ms == 0) spread_at_random(workload, from_seconds(flags.bin_s), seed);
  hurry(workload, flags.pace);
  if (flags.delay_ms > 0) delay_at_random(workload, from_seconds(flags.delay_ms / 1e3), seed);
  return workload;
}

Result<Line> measure(const Arm& arm, const SimulatedWorkload& rows, const EngineProfile& profile,
                     const TableFlags& flags) {
  SimulationOptions options = options_of(arm, profile);
  options.workers = flags.workers;
  options.gateways = flags.gateways;
  options.hold_threshold = from_seconds(flags.hold_threshold_s);
  if (options.kv_event_lag && flags.kv_event_lag_ms >= 0) {
    options.kv_event_lag = from_seconds(flags.kv_event_lag_ms / 1e3);
  }
  const auto share = 1 / static_cast<double>(flags.seeds);
  Line line;
  for (uint64_t seed = 1; seed <= flags.seeds; ++seed) {
    const auto result = simulate_fleet(arrivals(rows, flags, seed), options);
    if (!result) return result.error();
    const double ttft_ms = 1e3 * mean_ttft_seconds(*result);
    line.ttft_ms += share * ttft_ms;
    line.ttft_squares += share * ttft_ms * ttft_ms;
    line.p99_s += share * ttft_percentile_seconds(*result, 0.99);
    line.latency_s += share * mean_latency_seconds(*result);
    line.itl_ms += share * inter_token_ms(*result);
    line.rate += share * requests_per_second(*result);
    line.hits += share * hit_ratio(*result);
    line.each_ttft_ms.push_back(ttft_ms);
    line.each_hits.push_back(hit_ratio(*result));
    line.served = served(*result);
    for (const SimulatedRequest& request : result->requests) {
      line.held_most_s = std::max(line.held_most_s, to_seconds(request.held));
    }
  }
  return line;
}

// What the line has more than the other, on the same arrivals.
void print_difference(const Line& line, const Line& other, std::string_view name,
                      std::string_view against) {
  const Interval hits = difference_interval(line.each_hits, other.each_hits);
  const Interval ttft = difference_interval(line.each_ttft_ms, other.each_ttft_ms);
  std::printf(
      "%.*s less %.*s: hit ratio %+.4f (95 %%: %+.4f to %+.4f), TTFT %+.0f ms (%+.0f to %+.0f)\n",
      static_cast<int>(name.size()), name.data(), static_cast<int>(against.size()), against.data(),
      hits.mean, hits.low, hits.high, ttft.mean, ttft.low, ttft.high);
}

int fail(const std::string& why) {
  std::fprintf(stderr, "policy_table: %s\n", why.c_str());
  return 2;
}

int print_table(const TableFlags& flags) {
  Result<EngineProfile> profile = load_engine_profile(flags.profile);
  if (!profile) return fail("--profile: " + profile.error().message);
  if (flags.kv_tokens > 0) profile->kv_tokens = flags.kv_tokens;
  if (flags.max_model_len > 0) profile->max_model_len = flags.max_model_len;
  const Result<SimulatedWorkload> rows = read_workload(flags.trace, flags.rows);
  if (!rows) return fail(rows.error().message);
  std::vector<const Arm*> arms;
  for (const std::string& name : flags.arms) {
    if (find_arm(name) == nullptr) return fail("--arms: there is no arm '" + name + "'");
    arms.push_back(find_arm(name));
  }
  if (!flags.against.empty() && find_arm(flags.against) == nullptr) {
    return fail("--against: there is no arm '" + flags.against + "'");
  }
  if (!flags.against.empty() && flags.seeds < 2) return fail("--against: needs --seeds 2 or more");
  if (arms.empty()) {
    for (const Arm& arm : comparison_arms()) arms.push_back(&arm);
  }
  std::printf("%zu rows, %llu arrivals, pace %g, %u workers of %s with %llu tokens of cache\n\n",
              rows->size(), static_cast<unsigned long long>(flags.seeds), flags.pace, flags.workers,
              profile->name.c_str(), static_cast<unsigned long long>(profile->kv_tokens));
  std::printf(
      "| arm | TTFT mean, ms | +- | TTFT p99, s | latency, s | ITL, ms | requests/s | hit "
      "ratio | served | longest held, s |\n|---|---|---|---|---|---|---|---|---|---|\n");
  std::vector<Line> lines;
  for (const Arm* arm : arms) {
    Result<Line> line = measure(*arm, *rows, *profile, flags);
    if (!line) return fail(line.error().message);
    const double variance = std::max(0.0, line->ttft_squares - line->ttft_ms * line->ttft_ms);
    std::printf("| %.*s | %.0f | %.0f | %.1f | %.1f | %.1f | %.2f | %.4f | %zu | %.1f |\n",
                static_cast<int>(arm->name.size()), arm->name.data(), line->ttft_ms,
                std::sqrt(variance), line->p99_s, line->latency_s, line->itl_ms, line->rate,
                line->hits, line->served, line->held_most_s);
    std::fflush(stdout);
    lines.push_back(std::move(*line));
  }
  const auto other = std::find_if(arms.begin(), arms.end(),
                                  [&](const Arm* arm) { return arm->name == flags.against; });
  if (other == arms.end()) return 0;
  std::printf("\n");
  for (size_t i = 0; i < arms.size(); ++i) {
    if (arms[i] == *other) continue;
    print_difference(lines[i], lines[static_cast<size_t>(other - arms.begin())], arms[i]->name,
                     flags.against);
  }
  return 0;
}

void add_flags(CLI::App& app, TableFlags& flags) {
  app.add_option("--trace", flags.trace, "A trace in Mooncake's format")->required();
  app.add_option("--rows", flags.rows, "Only its first rows")->check(CLI::Range(1, 10'000'000));
  app.add_option("--arms", flags.arms, "Only these (default: all)")->delimiter(',');
  app.add_option("--profile", flags.profile, "Engine profile")->capture_default_str();
  app.add_option("--workers", flags.workers, "How many")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--gateways", flags.gateways,
                 "That share the workers, each with its share of the requests")
      ->check(CLI::Range(1, 100))
      ->capture_default_str();
  app.add_option("--kv-event-lag-ms", flags.kv_event_lag_ms,
                 "From a step's end until its KV events are read (default: 2)")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--against", flags.against,
                 "Then say how the arms differ from this one, arrival by arrival");
  app.add_option("--kv-tokens", flags.kv_tokens, "Cache of a worker (default: the profile's)")
      ->check(CLI::Range(1024, 1 << 30));
  app.add_option("--max-model-len", flags.max_model_len,
                 "Longer rows are refused (default: the profile's)")
      ->check(CLI::Range(2, 1 << 24));
  app.add_option("--pace", flags.pace, "Times faster than the trace")
      ->check(CLI::Range(0.01, 100.0))
      ->capture_default_str();
  app.add_option("--seeds", flags.seeds, "Arrivals to average over")
      ->check(CLI::Range(1, 1000))
      ->capture_default_str();
  app.add_option("--bin-s", flags.bin_s, "Rows of one stamp are spread over this time")
      ->check(CLI::Range(0.001, 60.0))
      ->capture_default_str();
  app.add_option("--delay-ms", flags.delay_ms,
                 "Instead, each row comes up to this much later than its stamp (after --pace)")
      ->check(CLI::Range(0.0, 1e6));
  app.add_option("--hold-threshold", flags.hold_threshold_s, "Of kv with holding, seconds")
      ->check(CLI::Range(0.001, 600.0))
      ->capture_default_str();
}

}  // namespace
}  // namespace kvasir

int main(int count, char** arguments) {
  CLI::App app("Compares ways to route on virtual time");
  kvasir::TableFlags flags;
  kvasir::add_flags(app, flags);
  CLI11_PARSE(app, count, arguments);
  return kvasir::print_table(flags);
}

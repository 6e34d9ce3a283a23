#include "bench/ab.h"

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <map>
#include <optional>

#include "bench/fleet_watch.h"
#include "bench/http_fetch.h"
#include "bench/parity.h"

namespace kvasir {
namespace {

constexpr Duration kStopGrace = std::chrono::seconds(10);

// Where an A/B keeps its files. Without a directory of the caller's it makes one for the logs,
// which goes when all went well.
class Files {
 public:
  static Result<Files> create(const std::string& directory) {
    std::error_code error;
    if (!directory.empty()) {
      std::filesystem::create_directories(directory, error);
      if (error) return Error{"cannot make " + directory + ": " + error.message()};
      return Files(directory, false);
    }
    std::string name = (std::filesystem::temp_directory_path(error) / "kvasir-ab-XXXXXX").string();
    if (error) return Error{"TMPDIR: " + error.message()};
    if (mkdtemp(name.data()) == nullptr) {
      return Error{"cannot make " + name + ": " + std::strerror(errno)};
    }
    return Files(name, true);
  }

  std::string outcomes(const std::string& arm) const {
    return temporary_ ? "" : directory_ + "/" + arm + ".jsonl";
  }
  std::string logs(const std::string& arm) const { return directory_ + "/" + arm + "-logs"; }

  Error with_logs(const std::string& arm, const Error& error) const {
    return Error{arm + ": " + error.message + " (logs: " + logs(arm) + ")"};
  }
  void discard_temporary() const {
    std::error_code ignored;
    if (temporary_) std::filesystem::remove_all(directory_, ignored);
  }

 private:
  Files(std::string directory, bool temporary)
      : directory_(std::move(directory)), temporary_(temporary) {}
  std::string directory_;
  bool temporary_;
};

bool has_events(const std::vector<bool>& kv_events, size_t arm) {
  return !kv_events.empty() && kv_events[std::min(arm, kv_events.size() - 1)];
}

Result<void> wait_ready(EventLoop& loop, FleetSupervisor& fleet) {
  bool done = false;
  Result<void> outcome;
  fleet.when_ready([&](Result<void> ready) {
    outcome = std::move(ready);
    done = true;
    loop.stop();
  });
  run_until(loop, done);
  return outcome;
}

void stop_fleet(EventLoop& loop, FleetSupervisor& fleet) {
  bool done = false;
  fleet.stop(kStopGrace, [&] {
    done = true;
    loop.stop();
  });
  run_until(loop, done);
}

// Rows that the workers are bound to refuse.
void warn_of_long_rows(const Workload& workload, const FleetFacts& facts) {
  if (!facts.worker.max_model_len) return;
  size_t count = 0;
  for (const TraceRow& row : workload.rows) {
    const uint64_t tokens = uint64_t{row.input_length} + row.output_length;
    if (tokens > *facts.worker.max_model_len) ++count;
  }
  if (count == 0) return;
  std::fprintf(stderr,
               "warning: %zu rows need more than the workers' max_model_len of %llu tokens\n",
               count, static_cast<unsigned long long>(*facts.worker.max_model_len));
}

class Ab {
 public:
  Ab(EventLoop& loop, const Workload& workload, const AbOptions& options, const Files& files)
      : loop_(loop), workload_(workload), options_(options), files_(files) {}

  Result<AbOutcome> run() {
    AbOutcome result;
    const std::vector<std::string> names = arm_names(options_.arms, options_.kv_events);
    for (size_t i = 0; i < names.size(); ++i) {
      Result<std::vector<Outcome>> outcomes = run_arm(i, names[i]);
      if (!outcomes) return files_.with_logs(names[i], outcomes.error());
      result.arms.push_back(measure(names[i], *outcomes, options_.fleet.time_scale));
      outcomes_.push_back(std::move(*outcomes));
      if (result.arms.back().send_lag.fell_behind() && !options_.allow_lag) break;
    }
    result.model = first_->worker.model;
    result.rows_with_other_tokens = rows_that_differ(outcomes_);
    return result;
  }

 private:
  Result<std::vector<Outcome>> run_arm(size_t index, const std::string& name) {
    FleetOptions fleet_options = options_.fleet;
    fleet_options.policy = options_.arms[index];
    fleet_options.kv_events = has_events(options_.kv_events, index);
    fleet_options.port = 0;
    fleet_options.log_directory = files_.logs(name);
    Result<std::unique_ptr<FleetSupervisor>> fleet = FleetSupervisor::start(loop_, fleet_options);
    if (!fleet) return fleet.error();
    const Result<void> ready = wait_ready(loop_, **fleet);
    if (!ready) return ready.error();
    const std::string label =
        std::to_string(index + 1) + "/" + std::to_string(options_.arms.size()) + " " + name;
    Result<std::vector<Outcome>> outcomes = replay_on(**fleet, name, label);
    stop_fleet(loop_, **fleet);
    return outcomes;
  }

  Result<std::vector<Outcome>> replay_on(const FleetSupervisor& fleet, const std::string& name,
                                         const std::string& label) {
    const Result<void> equal = check_parity(fleet, "before the arm");
    if (!equal) return equal.error();
    FleetWatch watch(loop_, fleet);
    ReplayRunOptions run;
    for (uint32_t i = 0; i < options_.fleet.gateways; ++i) {
      run.replay.origins.push_back({options_.fleet.host, fleet.gateway_port(i)});
    }
    run.replay.completion = options_.completion;
    run.replay.completion.model = first_->worker.model;
    run.replay.time_scale = options_.fleet.time_scale;
    run.replay.timeout = options_.timeout;
    run.output_file = files_.outcomes(name);
    run.label = label;
    run.why_abort = [&watch] { return watch.problem(); };
    Result<std::vector<Outcome>> outcomes = run_replay(loop_, workload_, run);
    if (!outcomes) return outcomes;
    const Result<void> still_equal = check_parity(fleet, "after the arm");
    if (!still_equal) return still_equal.error();
    for (const ProcessStatus& process : fleet.processes()) {
      if (!problem_of(process).empty()) return Error{problem_of(process)};
    }
    return outcomes;
  }

  // Every worker is well, and like those of the first arm before it ran.
  Result<void> check_parity(const FleetSupervisor& fleet, const std::string& when) {
    const Result<FleetFacts> facts = inspect_fleet(loop_, fleet.worker_urls());
    if (!facts) return Error{when + ": " + facts.error().message};
    if (!first_) {
      first_ = *facts;
      warn_of_long_rows(workload_, *facts);
    }
    const std::string unlike = difference(*first_, *facts);
    if (unlike.empty()) return {};
    return Error{when + ": its fleet is unlike that of the first arm: " + unlike};
  }

  EventLoop& loop_;
  const Workload& workload_;
  const AbOptions& options_;
  const Files& files_;
  std::optional<FleetFacts> first_;
  std::vector<std::vector<Outcome>> outcomes_;
};

}  // namespace

std::vector<std::string> arm_names(const std::vector<std::string>& policies,
                                   const std::vector<bool>& kv_events) {
  std::map<std::string, int> times;
  std::vector<std::string> names;
  for (size_t i = 0; i < policies.size(); ++i) {
    const std::string name = policies[i] + (has_events(kv_events, i) ? "+events" : "");
    const int time = ++times[name];
    names.push_back(time == 1 ? name : name + "-" + std::to_string(time));
  }
  return names;
}

std::vector<size_t> rows_that_differ(const std::vector<std::vector<Outcome>>& arms) {
  std::vector<size_t> rows;
  if (arms.empty()) return rows;
  for (size_t i = 0; i < arms.front().size(); ++i) {
    bool all_answered = true;
    bool all_alike = true;
    for (const std::vector<Outcome>& arm : arms) {
      KVASIR_ASSERT(arm[i].row == arms.front()[i].row, "every arm has every row, in order");
      all_answered = all_answered && arm[i].ok();
      all_alike = all_alike && arm[i].answer_hash == arms.front()[i].answer_hash;
    }
    if (all_answered && !all_alike) rows.push_back(arms.front()[i].row);
  }
  return rows;
}

Result<AbOutcome> run_ab(EventLoop& loop, const Workload& workload, const AbOptions& options) {
  const Result<Files> files = Files::create(options.output_directory);
  if (!files) return files.error();
  Result<AbOutcome> outcome = Ab(loop, workload, options, *files).run();
  if (outcome) files->discard_temporary();
  return outcome;
}

}  // namespace kvasir

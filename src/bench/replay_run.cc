#include "bench/replay_run.h"

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <fstream>

#include "bench/http_fetch.h"
#include "bench/progress_line.h"
#include "net/io/signal_watcher.h"

namespace kvasir {
namespace {

constexpr Duration kTick = std::chrono::milliseconds(500);
constexpr Duration kAbortCheck = std::chrono::seconds(1);

class Run final : public Replay::Observer {
 public:
  Run(EventLoop& loop, const ReplayRunOptions& options)
      : loop_(loop), options_(options), progress_line_(options.label) {}
  ~Run() override { loop_.cancel(timer_); }

  Result<std::vector<Outcome>> run(const Workload& workload) {
    if (!open_output()) {
      return Error{options_.output_file + ": cannot write it: " + std::strerror(errno)};
    }
    std::unique_ptr<SignalWatcher> signals;
    if (options_.stop_at_signals) {
      auto watcher = SignalWatcher::create(loop_, {SIGINT, SIGTERM}, [this](int) { end(); });
      if (!watcher) return watcher.error();
      signals = std::move(*watcher);
    }
    Result<std::unique_ptr<Replay>> replay = Replay::start(loop_, workload, options_.replay, *this);
    if (!replay) return replay.error();
    replay_ = std::move(*replay);
    next_abort_check_ = loop_.clock().now() + kAbortCheck;
    tick();
    run_until(loop_, over_);
    progress_line_.finish(replay_->progress(), loop_.clock().now());
    replay_.reset();
    if (error_) return *error_;
    if (file_.is_open() && !file_.flush()) {
      return Error{options_.output_file + ": cannot write it: the disk may be full"};
    }
    std::sort(outcomes_.begin(), outcomes_.end(),
              [](const Outcome& a, const Outcome& b) { return a.row < b.row; });
    return std::move(outcomes_);
  }

 private:
  bool open_output() {
    if (options_.output_file.empty()) return true;
    file_.open(options_.output_file);
    return file_.is_open();
  }

  void on_outcome(Outcome outcome) override {
    if (file_.is_open()) file_ << to_json_line(outcome);
    outcomes_.push_back(std::move(outcome));
  }

  void on_replay_over() override { end(); }

  void end() {
    over_ = true;
    loop_.stop();
  }

  void tick() {
    const TimePoint now = loop_.clock().now();
    progress_line_.show(replay_->progress(), now);
    if (options_.why_abort && now >= next_abort_check_) {
      next_abort_check_ = now + kAbortCheck;
      error_ = options_.why_abort();
      if (error_) return end();
    }
    timer_ = loop_.after(kTick, [this] { tick(); });
  }

  EventLoop& loop_;
  const ReplayRunOptions& options_;
  ProgressLine progress_line_;
  std::ofstream file_;
  std::unique_ptr<Replay> replay_;
  std::vector<Outcome> outcomes_;
  std::optional<Error> error_;
  TimerId timer_ = kNoTimer;
  TimePoint next_abort_check_{};
  bool over_ = false;
};

}  // namespace

Result<std::vector<Outcome>> run_replay(EventLoop& loop, const Workload& workload,
                                        const ReplayRunOptions& options) {
  return Run(loop, options).run(workload);
}

}  // namespace kvasir

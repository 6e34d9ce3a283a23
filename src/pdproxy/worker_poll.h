// One GET to each of several workers at once, with one deadline: what they answered by then. A
// worker that does not answer costs only its part. On the loop's thread.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/executor.h"
#include "feeds/engine_metrics.h"
#include "legs/worker_call.h"

namespace kvasir {

class EventLoop;

struct PolledWorker {
  int status = 0;                       // 0: it did not answer to the end
  std::optional<EngineMetrics> engine;  // of an engine's page; nullopt: it is none, or was not read
};

class WorkerPoll {
 public:
  struct Options {
    std::string target;
    bool reads_page = false;  // of metrics; else the body is dropped
    Duration timeout{};
    size_t bytes_max = 0;  // of one answer
  };
  // In the order of the workers; in a later turn, once. It may destroy the poll.
  using Done = std::function<void(const std::vector<PolledWorker>&)>;

  // All referred to outlive it.
  WorkerPoll(EventLoop& loop, WorkerClients& clients, const std::vector<LegWorker>& workers,
             const Options& options, Done done);
  ~WorkerPoll();

 private:
  class Question;
  void ended();
  void finish();

  EventLoop& loop_;
  const Done done_;
  std::vector<std::unique_ptr<Question>> questions_;
  size_t open_ = 0;
  TimerId deadline_ = kNoTimer;
};

}  // namespace kvasir

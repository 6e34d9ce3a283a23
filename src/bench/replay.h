// Sends the rows of a workload at their times, whatever becomes of the ones before (open loop). Only a
// turn of a session waits: for the end of the turn before it, however that ended, and its delay.
#pragma once

#include <functional>
#include <memory>
#include <queue>
#include <utility>
#include <vector>

#include "base/lifeline.h"
#include "bench/live_request.h"
#include "bench/workload.h"

namespace kvasir {

struct ReplayProgress {
  size_t total = 0;
  size_t sent = 0;
  size_t done = 0;  // failed ones too
  size_t errors = 0;

  size_t in_flight() const { return sent - done; }
};

// Runs on one EventLoop; destroying it gives up the requests that are under way.
class Replay final : private LiveRequest::Owner {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    // In the order in which requests end.
    virtual void on_outcome(Outcome outcome) = 0;
    // Every row has its outcome.
    virtual void on_replay_over() = 0;
  };

  // The first row is due now. `loop`, `workload` and `observer` must outlive the replay. Nothing is
  // reported before start() has returned.
  static Result<std::unique_ptr<Replay>> start(EventLoop& loop, const Workload& workload,
                                               ReplayOptions options, Observer& observer);
  ~Replay() override;
  Replay(const Replay&) = delete;
  Replay& operator=(const Replay&) = delete;

  ReplayProgress progress() const { return progress_; }

 private:
  using Targets = std::vector<std::unique_ptr<ReplayTarget>>;

  Replay(EventLoop& loop, Targets targets, const Workload& workload, ReplayOptions options,
         Observer& observer);
  void send_due_rows();
  // A row with the time at which it is to be sent; the earliest comes first, then the lowest row.
  using DueRow = std::pair<TimePoint, size_t>;

  void send(const DueRow& row);
  TimePoint due(size_t index) const;
  void wait_for_next_row();
  void queue_next_turn(size_t index);
  void free_sent_bytes();
  void on_request_over(LiveRequest& request, Outcome outcome) override;

  EventLoop& loop_;
  const Workload& workload_;
  const ReplayOptions options_;
  Observer& observer_;
  const TimePoint start_;
  const Targets targets_;                               // in the order of the origins
  std::vector<std::unique_ptr<LiveRequest>> requests_;  // by row; null before and after
  std::vector<size_t> uploading_;                       // rows whose bytes are not all sent
  Lifeline lifeline_;
  std::priority_queue<DueRow, std::vector<DueRow>, std::greater<>> due_rows_;
  TimerId send_timer_ = kNoTimer;
  TimerId free_timer_ = kNoTimer;
  ReplayProgress progress_;
};

}  // namespace kvasir

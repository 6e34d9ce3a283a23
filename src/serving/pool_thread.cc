#include "serving/pool_thread.h"

#include <utility>

#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// Most decisions are made at once; only held requests keep theirs.
constexpr size_t kTracesKept = 64;

}  // namespace

PoolThread::PoolThread(Pool& pool, Executor& executor, uint32_t index)
    : pool_(pool),
      executor_(executor),
      clock_(executor.clock()),
      index_(index),
      random_(static_cast<uint64_t>(clock_.now().time_since_epoch().count()) + index) {}

PoolThread::PoolThread(Pool& pool, EventLoop& loop, uint32_t index)
    : PoolThread(pool, static_cast<Executor&>(loop), index) {
  remote_scores_.emplace(loop);
}

PoolThread::~PoolThread() = default;

std::unique_ptr<DecisionTrace> PoolThread::take_trace() {
  if (traces_.empty()) return std::make_unique<DecisionTrace>();
  std::unique_ptr<DecisionTrace> trace = std::move(traces_.back());
  traces_.pop_back();
  trace->begin(0);
  return trace;
}

void PoolThread::give_trace(std::unique_ptr<DecisionTrace> trace) {
  if (traces_.size() < kTracesKept) traces_.push_back(std::move(trace));
}

}  // namespace kvasir

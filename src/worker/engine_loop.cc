#include "worker/engine_loop.h"

#include <algorithm>
#include <utility>

namespace kvasir {
namespace {

// How far, in the machine's time, steps may lag behind before the lag is given up instead of caught
// up.
constexpr Duration kLagMax = std::chrono::milliseconds(100);

}  // namespace

EngineLoop::EngineLoop(EventLoop& loop, Engine& engine, double time_scale, Observer& observer)
    : loop_(loop),
      engine_(engine),
      observer_(observer),
      time_scale_(time_scale),
      clock_(loop.clock(), time_scale) {}

EngineLoop::~EngineLoop() {
  loop_.cancel(timer_);
}

SequenceId EngineLoop::submit(SequenceRequest request) {
  const SequenceId sequence = engine_.submit(std::move(request), clock_.now());
  wake();
  return sequence;
}

void EngineLoop::cancel(SequenceId sequence) {
  engine_.cancel(sequence);
  wake();
}

void EngineLoop::release_kept(SequenceId sequence) {
  engine_.release_kept(sequence);
  wake();
}

void EngineLoop::arriving(SequenceId sequence) {
  engine_.arriving(sequence);
  wake();
}

void EngineLoop::arrived(SequenceId sequence, uint32_t blocks) {
  engine_.arrived(sequence, blocks);
  wake();
}

// Not at once: what else happens in this iteration of the loop joins the step.
void EngineLoop::wake() {
  if (timer_ != kNoTimer || engine_.step_waits()) return;
  if (engine_.step_running()) {
    step_end_ = std::max(step_end_, clock_.now());
    timer_ = loop_.after(Duration::zero(), [this] { finish_step(); });
    return;
  }
  timer_ = loop_.after(Duration::zero(), [this] {
    timer_ = kNoTimer;
    start_step(clock_.now());
  });
}

void EngineLoop::start_step(TimePoint at) {
  const std::optional<Duration> duration = engine_.start_step(at);
  if (duration) {
    step_end_ = at + *duration;
    const Duration wait = scaled(step_end_ - clock_.now(), 1 / time_scale_);
    timer_ = loop_.after(std::max(wait, Duration::zero()), [this] { finish_step(); });
  }
  std::vector<WantedBlocks> wanted = engine_.take_wanted();
  if (!wanted.empty()) observer_.on_wanted(std::move(wanted));
}

void EngineLoop::finish_step() {
  timer_ = kNoTimer;
  if (engine_.step_waits()) return;
  const TimePoint end = step_end_;
  observer_.on_step(engine_.finish_step(end), end);
  loop_.cancel(std::exchange(timer_, kNoTimer));  // an observer may have submitted
  const TimePoint earliest = clock_.now() - scaled(kLagMax, time_scale_);
  if (earliest > end) lost_ += earliest - end;
  start_step(std::max(end, earliest));
}

}  // namespace kvasir

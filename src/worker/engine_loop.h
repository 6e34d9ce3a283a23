// Runs an Engine on an event loop: engine time is model time, and a step of d model seconds takes d
// / time scale seconds of the machine's time. Steps follow one another without a gap on the model's
// time line, whatever the loop's delays are. A step that computes on blocks that are still arriving
// ends when they are there.
//
// Everything on the loop's thread.
#pragma once

#include <vector>

#include "base/clock.h"
#include "engine/engine.h"
#include "net/io/event_loop.h"

namespace kvasir {

class EngineLoop {
 public:
  // Told what a step made.
  class Observer {
   public:
    virtual ~Observer() = default;
    // `events`: valid until the engine is called. `now`: the step's end in model time.
    virtual void on_step(const std::vector<TokenEvent>& events, TimePoint now) = 0;
    // Sequences that were submitted with remote_blocks got room for them: arrived() is to follow.
    virtual void on_wanted(std::vector<WantedBlocks> wanted) { static_cast<void>(wanted); }
  };

  // All must outlive the EngineLoop.
  EngineLoop(EventLoop& loop, Engine& engine, double time_scale, Observer& observer);
  ~EngineLoop();
  EngineLoop(const EngineLoop&) = delete;
  EngineLoop& operator=(const EngineLoop&) = delete;

  // The sequence takes part in the next step. Precondition: Engine::check() passes.
  SequenceId submit(SequenceRequest request);

  // What Engine does under these names, and the next step when there was none for want of blocks.
  void cancel(SequenceId sequence);
  void release_kept(SequenceId sequence);
  void arriving(SequenceId sequence);
  void arrived(SequenceId sequence, uint32_t blocks);

  // Model time by which the steps lagged behind the machine's clock and which was given up: the
  // machine was too slow for the time scale.
  Duration lost_time() const { return lost_; }
  // Model time.
  TimePoint now() const { return clock_.now(); }

 private:
  void wake();
  void start_step(TimePoint at);
  void finish_step();

  EventLoop& loop_;
  Engine& engine_;
  Observer& observer_;
  const double time_scale_;
  ScaledClock clock_;  // model time
  TimePoint step_end_{};
  // For the end of the step, or for the start of the first one. None while a step is over but for
  // blocks that are still arriving.
  TimerId timer_ = kNoTimer;
  Duration lost_{};
};

}  // namespace kvasir

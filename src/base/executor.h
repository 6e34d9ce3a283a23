// Where an object lives: one thread that runs its work in turns, on real time (net/io/event_loop.h)
// or on virtual time (base/virtual_executor_fixture.h). It gives the time, timers, and a way in for
// other threads.
//
// Everything is called on the executor's own thread, except post(), which any thread may call.
#pragma once

#include <cstdint>
#include <functional>

#include "base/clock.h"

namespace kvasir {

// Names a timer that was set; kNoTimer names none.
enum class TimerId : uint64_t {};
inline constexpr TimerId kNoTimer{0};

class Executor {
 public:
  virtual ~Executor() = default;

  // The time at which the current turn began.
  virtual TimePoint now() const = 0;
  // For what takes time within a turn. Thread-safe; lives as long as the executor.
  virtual const Clock& clock() const = 0;

  // Calls `work` once, `delay` from now or a little later. cancel() of a timer that has fired, or
  // of kNoTimer, does nothing.
  virtual TimerId after(Duration delay, std::function<void()> work) = 0;
  virtual void cancel(TimerId timer) = 0;

  // Runs `work` in a later turn, soon; in the order of the calls. An object that may be gone by
  // then posts through its Lifeline.
  virtual void post(std::function<void()> work) = 0;
};

}  // namespace kvasir

// How many replays run at once, and whose turn is next: first come, first served.
#pragma once

#include <cstdint>
#include <deque>
#include <functional>

#include "base/executor.h"
#include "base/lifeline.h"

namespace kvasir {

class ReplayTurns {
 public:
  class Taker {
   public:
    virtual ~Taker() = default;
    // It runs until give_back().
    virtual void on_turn() = 0;
  };

  // `executor` must outlive it.
  ReplayTurns(uint32_t running_max, Executor& executor)
      : running_max_(running_max), executor_(executor) {}

  // `taker` has no turn and waits for none. It must call give_back() before it goes.
  void ask(Taker& taker);
  // It no longer wants a turn, or is done with it.
  void give_back(Taker& taker);

 private:
  void hand_out();

  const uint32_t running_max_;
  Executor& executor_;
  std::deque<Taker*> waiting_;
  std::deque<Taker*> running_;
  bool posted_ = false;
  Lifeline lifeline_;
};

}  // namespace kvasir

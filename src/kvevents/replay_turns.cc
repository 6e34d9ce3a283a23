#include "kvevents/replay_turns.h"

#include <algorithm>

namespace kvasir {
namespace {

bool take_out(std::deque<ReplayTurns::Taker*>& takers, ReplayTurns::Taker& taker) {
  const auto found = std::find(takers.begin(), takers.end(), &taker);
  if (found == takers.end()) return false;
  takers.erase(found);
  return true;
}

}  // namespace

void ReplayTurns::ask(Taker& taker) {
  waiting_.push_back(&taker);
  hand_out();
}

void ReplayTurns::give_back(Taker& taker) {
  if (take_out(running_, taker)) return hand_out();
  take_out(waiting_, taker);
}

// Later: a turn that ends at once would otherwise begin the next one within itself.
void ReplayTurns::hand_out() {
  if (posted_ || waiting_.empty() || running_.size() >= running_max_) return;
  posted_ = true;
  executor_.post(lifeline_.guard([this] {
    posted_ = false;
    if (waiting_.empty() || running_.size() >= running_max_) return;
    Taker* const next = waiting_.front();
    waiting_.pop_front();
    running_.push_back(next);
    next->on_turn();
    hand_out();
  }));
}

}  // namespace kvasir

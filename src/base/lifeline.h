// For an object whose work may run when it is gone: what was posted, from this thread or another,
// and what stands further up on the call stack. A member of the object; of what it guards nothing
// runs once it is destroyed.
//
//   loop_.post(lifeline_.guard([this] { refresh(); }));
//   start_elsewhere(lifeline_.posting(loop_, [this](const Answer& answer) { on_answer(answer); }));
//
// Made, destroyed and guarded work run on one thread; only what posting() returns is called
// anywhere.
#pragma once

#include <memory>
#include <utility>

#include "base/executor.h"

namespace kvasir {

class Lifeline {
 public:
  Lifeline() = default;
  ~Lifeline() {
    if (alive_ != nullptr) *alive_ = false;
  }
  Lifeline(const Lifeline&) = delete;
  Lifeline& operator=(const Lifeline&) = delete;

  // True as long as the object lives.
  std::shared_ptr<const bool> token() const {
    if (alive_ == nullptr) alive_ = std::make_shared<bool>(true);
    return alive_;
  }

  // `work`, which does nothing once the object is gone. For this thread.
  template <class Work>
  auto guard(Work work) const {
    return [alive = token(), work = std::move(work)](const auto&... arguments) {
      if (*alive) work(arguments...);
    };
  }

  // For any thread: posts `work` with copies of the arguments to `executor`, the object's own,
  // which outlives the calls.
  template <class Work>
  auto posting(Executor& executor, Work work) const {
    return [&executor, alive = token(), work = std::move(work)](const auto&... arguments) {
      executor.post([alive, work, arguments...] {
        if (*alive) work(arguments...);
      });
    };
  }

 private:
  mutable std::shared_ptr<bool> alive_;  // made when somebody asks
};

}  // namespace kvasir

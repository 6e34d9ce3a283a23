// What a pool's admission holds of a Journey. Private to serving/.
//
// Admission may still hold it when the journey is gone: a verdict or an eviction may be on its way.
#pragma once

#include <memory>

#include "base/executor.h"
#include "flow/flow_item.h"
#include "serving/journey.h"
#include "serving/pool_thread.h"

namespace kvasir {

class Journey::Ticket final : public FlowItem, public std::enable_shared_from_this<Ticket> {
 public:
  Ticket(Journey& journey, Executor& executor)
      : FlowItem(journey.request(), journey.body_bytes_), executor_(executor), journey_(&journey) {}

  // On the journey's thread, when it is neither held nor will be evicted.
  void forget_journey() { journey_ = nullptr; }

 private:
  // While it is held, the journey lives: that takes it out of the queue first.
  Refusal dispatch() override { return journey_->choose(); }
  Duration predicted_prefill() override {
    return journey_->thread_.pool().scheduler().predicted_prefill(request());
  }
  void finished(FlowOutcome outcome) override {
    executor_.post([ticket = shared_from_this(), outcome] {
      if (ticket->journey_ != nullptr)
        ticket->journey_->on_outcome(outcome, ticket->journey_->thread_.now());
    });
  }
  void evicted(FlowOutcome outcome) override {
    executor_.post([ticket = shared_from_this(), outcome] {
      if (ticket->journey_ != nullptr) ticket->journey_->on_evicted(outcome);
    });
  }

  Executor& executor_;
  Journey* journey_;
};

}  // namespace kvasir

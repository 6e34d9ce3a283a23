// One request that waits for room at the prefill workers; a client that leaves ends it. Private to
// pdproxy/.
#pragma once

#include <functional>
#include <memory>
#include <utility>

#include "net/http/http_exchange.h"
#include "pdproxy/prefill_rooms.h"

namespace kvasir {

class RoomQuestion final : private HttpExchange::Observer {
 public:
  // Null: its client has left. Once, in a later turn; it may destroy the question.
  using Answered = std::function<void(Result<RoomGrant>*)>;

  // What is referred to outlives it; the exchange until it is answered.
  RoomQuestion(Executor& executor, PrefillRooms& rooms, const RoomWish& wish,
               HttpExchange& exchange, Answered answered)
      : exchange_(exchange), answered_(std::move(answered)) {
    exchange_.set_observer(this);
    wait_ = rooms.wait(executor, wish, [this](Result<RoomGrant> outcome) {
      exchange_.set_observer(nullptr);
      end(&outcome);
    });
  }

 private:
  void on_client_gone() override { end(nullptr); }
  void end(Result<RoomGrant>* outcome) {
    wait_.reset();
    // A copy: what is called may destroy this function.
    const Answered tell = answered_;
    tell(outcome);
  }

  HttpExchange& exchange_;
  const Answered answered_;
  std::unique_ptr<LegWait> wait_;
};

}  // namespace kvasir

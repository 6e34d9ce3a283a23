// One request for the batches that an engine still keeps, and its answer: a DEALER socket, to the
// ROUTER of the engine.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "kvevents/event_message.h"
#include "net/io/event_loop.h"
#include "net/zmq/zmq_socket.h"

namespace kvasir {

class EventReplay {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    virtual void on_replayed(const ReplayMessage& message) = 0;
    virtual void on_replay_ended() = 0;
    // Nothing more is told of it.
    virtual void on_replay_failed(std::string_view why) = 0;
  };

  // Asks for the batches from `from` on. All must outlive it.
  static Result<std::unique_ptr<EventReplay>> open(ZmqContext& context, EventLoop& loop,
                                                   const std::string& address, uint64_t from,
                                                   const ZmqSocketOptions& options,
                                                   Listener& listener);
  // Nothing more is told of it; to be destroyed when the loop has come back to itself.
  void deafen();

 private:
  EventReplay(std::string address, std::unique_ptr<ZmqSocket> socket, Listener& listener)
      : address_(std::move(address)), listener_(listener), socket_(std::move(socket)) {}
  void on_message(ZmqFrames frames);
  void on_event(int event);
  void fail(std::string_view why);

  const std::string address_;
  Listener& listener_;
  bool over_ = false;
  const std::unique_ptr<ZmqSocket> socket_;
  std::unique_ptr<ZmqMonitor> monitor_;
};

}  // namespace kvasir

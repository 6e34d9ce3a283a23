// The subscription to one engine's live events: a SUB socket, and what its connection does.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/io/event_loop.h"
#include "net/zmq/zmq_socket.h"

namespace kvasir {

enum class KvFeedOperation : uint8_t;

class EventSubscription {
 public:
  class Listener {
   public:
    virtual ~Listener() = default;
    // The subscription is on its way to the engine, which answered as a ZeroMQ socket.
    virtual void on_connected() = 0;
    virtual void on_disconnected() = 0;
    virtual void on_message(ZmqFrames frames) = 0;
    // It tries again by itself.
    virtual void on_error(KvFeedOperation operation) = 0;
  };

  // Connects, now and whenever the connection is lost. All must outlive it.
  static Result<std::unique_ptr<EventSubscription>> open(ZmqContext& context, EventLoop& loop,
                                                         const std::string& address,
                                                         const std::string& topic,
                                                         const ZmqSocketOptions& options,
                                                         Listener& listener);
  ~EventSubscription() { loop_.cancel(given_up_); }
  EventSubscription(const EventSubscription&) = delete;
  EventSubscription& operator=(const EventSubscription&) = delete;

  // Somebody took a connection at its address, whether it speaks ZeroMQ's protocol or not.
  bool answered() const { return answered_; }

 private:
  EventSubscription(ZmqContext& context, EventLoop& loop, const std::string& address,
                    const std::string& topic, const ZmqSocketOptions& options, Listener& listener)
      : context_(context),
        loop_(loop),
        address_(address),
        topic_(topic),
        options_(options),
        listener_(listener) {}
  Result<void> connect();
  void on_event(int event);
  void expect_retry();
  void on_given_up();

  ZmqContext& context_;
  EventLoop& loop_;
  const std::string address_;
  const std::string topic_;
  const ZmqSocketOptions options_;
  Listener& listener_;
  std::unique_ptr<ZmqSocket> socket_;
  std::unique_ptr<ZmqMonitor> monitor_;
  bool answered_ = false;
  TimerId given_up_ =
      kNoTimer;  // runs from a connection's end until ZeroMQ says that it tries again
};

}  // namespace kvasir

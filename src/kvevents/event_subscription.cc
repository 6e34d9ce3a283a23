#include "kvevents/event_subscription.h"

#include <utility>

#include "kvevents/event_feed.h"

namespace kvasir {
namespace {

constexpr int kHandshakeFailures = ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                                   ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL |
                                   ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;
constexpr int kSubscriptionEvents = ZMQ_EVENT_CONNECTED | ZMQ_EVENT_HANDSHAKE_SUCCEEDED |
                                    ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CONNECT_RETRIED |
                                    kHandshakeFailures;

}  // namespace

Result<std::unique_ptr<EventSubscription>> EventSubscription::open(
    ZmqContext& context, EventLoop& loop, const std::string& address, const std::string& topic,
    const ZmqSocketOptions& options, Listener& listener) {
  std::unique_ptr<EventSubscription> made(
      new EventSubscription(context, loop, address, topic, options, listener));
  const Result<void> connected = made->connect();
  if (!connected) return connected.error();
  return made;
}

Result<void> EventSubscription::connect() {
  Result<std::unique_ptr<ZmqSocket>> socket = ZmqSocket::open(context_, ZMQ_SUB, options_);
  if (!socket) return socket.error();
  monitor_.reset();
  socket_ = std::move(*socket);
  Result<std::unique_ptr<ZmqMonitor>> monitor = ZmqMonitor::open(
      context_, *socket_, kSubscriptionEvents, loop_, [this](int event, int) { on_event(event); });
  if (!monitor) return monitor.error();
  monitor_ = std::move(*monitor);
  const Result<void> subscribed = socket_->subscribe(topic_);
  if (!subscribed) return subscribed;
  const Result<void> connected = socket_->connect(address_);
  if (!connected) return connected;
  socket_->listen(loop_, [this](ZmqFrames frames) {
    // Of which connection it is: a new one is announced before its first message.
    monitor_->turn();
    listener_.on_message(frames);
  });
  return {};
}

void EventSubscription::on_event(int event) {
  switch (event) {
    case ZMQ_EVENT_CONNECTED:
      answered_ = true;
      return;
    case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
      return listener_.on_connected();
    case ZMQ_EVENT_DISCONNECTED:
      expect_retry();
      return listener_.on_disconnected();
    case ZMQ_EVENT_CONNECT_RETRIED:
      // The first one after a connection was lost is no error yet.
      if (given_up_ == kNoTimer) listener_.on_error(KvFeedOperation::kConnect);
      loop_.cancel(std::exchange(given_up_, kNoTimer));
      return;
    default:
      expect_retry();
      return listener_.on_error(KvFeedOperation::kHandshake);
  }
}

// ZeroMQ never connects again to who broke its protocol: by a message that is too large, or by not
// speaking it at all. The engine may come back under that address, though.
void EventSubscription::expect_retry() {
  if (given_up_ != kNoTimer) return;
  given_up_ = loop_.after(options_.reconnect_max, [this] { on_given_up(); });
}

void EventSubscription::on_given_up() {
  given_up_ = kNoTimer;
  if (connect().ok()) return;
  listener_.on_error(KvFeedOperation::kConnect);
  expect_retry();
}

}  // namespace kvasir

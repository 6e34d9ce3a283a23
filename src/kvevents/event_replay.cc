#include "kvevents/event_replay.h"

#include "base/big_endian.h"

namespace kvasir {
namespace {

constexpr int kReplayEvents = ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_CLOSED |
                              ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL |
                              ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | ZMQ_EVENT_HANDSHAKE_FAILED_AUTH;

}  // namespace

Result<std::unique_ptr<EventReplay>> EventReplay::open(ZmqContext& context, EventLoop& loop,
                                                       const std::string& address, uint64_t from,
                                                       const ZmqSocketOptions& options,
                                                       Listener& listener) {
  Result<std::unique_ptr<ZmqSocket>> socket = ZmqSocket::open(context, ZMQ_DEALER, options);
  if (!socket) return socket.error();
  std::unique_ptr<EventReplay> made(new EventReplay(address, std::move(*socket), listener));
  EventReplay* const raw = made.get();
  Result<std::unique_ptr<ZmqMonitor>> monitor =
      ZmqMonitor::open(context, *made->socket_, kReplayEvents, loop,
                       [raw](int event, int) { raw->on_event(event); });
  if (!monitor) return monitor.error();
  made->monitor_ = std::move(*monitor);
  const Result<void> connected = made->socket_->connect(address);
  if (!connected) return connected.error();
  const std::string first = big_endian_bytes(from);
  const std::string_view frames[] = {"", first};
  if (!made->socket_->send(frames)) return Error{"the request for a replay cannot be sent"};
  made->socket_->listen(loop, [raw](ZmqFrames message) { raw->on_message(message); });
  return made;
}

void EventReplay::deafen() {
  over_ = true;
  socket_->deafen();
  monitor_->deafen();
}

void EventReplay::on_message(ZmqFrames frames) {
  const Result<ReplayMessage> message = read_replay_message(frames);
  if (!message) return fail("the answer cannot be read: " + message.error().message);
  if (message->end) return listener_.on_replay_ended();
  listener_.on_replayed(*message);
}

void EventReplay::on_event(int event) {
  // What came before it is read first: no more than the high water mark.
  while (!over_ && socket_->turn()) {
  }
  if (event == ZMQ_EVENT_CLOSED) {
    return fail("the engine's address for replays, " + address_ + ", cannot be reached");
  }
  if (event == ZMQ_EVENT_DISCONNECTED) {
    return fail("the connection to its address for replays, " + address_ + ", was lost");
  }
  fail("what answers at its address for replays, " + address_ +
       ", does not answer them: is it the address of its events, or another program's?");
}

void EventReplay::fail(std::string_view why) {
  if (over_) return;
  deafen();
  listener_.on_replay_failed(why);
}

}  // namespace kvasir

#include "transfer/nixl/nixl_handshake_call.h"

#include <array>
#include <utility>

#include "net/io/socket.h"

namespace kvasir {

NixlHandshakeCall::NixlHandshakeCall(EventLoop& loop, ZmqContext& context, const NixlLimits& limits,
                                     const std::string& host, uint16_t port, Answered answered)
    : loop_(loop), where_(to_string(HostPort{host, port})), answered_(std::move(answered)) {
  const Result<void> asked = ask(context, limits, "tcp://" + where_);
  if (!asked) {
    answer(asked.error());
    return;
  }
  timeout_ = loop_.after(limits.handshake_timeout, [this] {
    answer(Error{"no answer from " + where_ + " over the side channel"});
  });
}

NixlHandshakeCall::~NixlHandshakeCall() {
  loop_.cancel(timeout_);
}

Result<void> NixlHandshakeCall::ask(ZmqContext& context, const NixlLimits& limits,
                                    const std::string& address) {
  ZmqSocketOptions options;
  options.message_bytes_max = limits.side_message_bytes_max;
  options.connect_timeout = limits.handshake_timeout;
  Result<std::unique_ptr<ZmqSocket>> socket = ZmqSocket::open(context, ZMQ_DEALER, options);
  if (!socket) return socket.error();
  socket_ = std::move(*socket);
  // ZeroMQ would go on trying; the first failure is the answer.
  Result<std::unique_ptr<ZmqMonitor>> monitor =
      ZmqMonitor::open(context, *socket_, ZMQ_EVENT_CLOSED | ZMQ_EVENT_DISCONNECTED, loop_,
                       [this](int, int) { answer(Error{"nobody answers at " + where_}); });
  if (!monitor) return monitor.error();
  monitor_ = std::move(*monitor);
  if (Result<void> connected = socket_->connect(address); !connected) return connected;
  socket_->listen(loop_, [this](ZmqFrames frames) { on_message(frames); });
  const std::string question = write_nixl_question({});
  const std::array<std::string_view, 2> frames{std::string_view(), question};
  if (!socket_->send(frames)) return Error{"nothing can be sent to " + where_};
  return {};
}

// Empty, the answer, and perhaps a time.
void NixlHandshakeCall::on_message(ZmqFrames frames) {
  if (frames.size() < 2 || !frames[0].empty()) {
    return answer(Error{where_ + " answers something that is no handshake"});
  }
  Result<NixlHandshake> handshake = read_nixl_handshake(frames[1]);
  if (handshake) return answer(std::move(handshake));
  answer(Error{"the handshake of " + where_ + ": " + handshake.error().message});
}

// Later: ZeroMQ's sockets are not destroyed from within what they call. What is called then may
// destroy this.
void NixlHandshakeCall::answer(Result<NixlHandshake> with) {
  if (std::exchange(is_answered_, true)) return;
  loop_.post(lifeline_.guard([told = answered_, with = std::move(with)] { told(with); }));
}

}  // namespace kvasir

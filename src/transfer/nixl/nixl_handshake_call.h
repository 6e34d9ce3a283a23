// One question over a prefiller's side channel, and its answer. Lives on its loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/zmq/zmq_socket.h"
#include "transfer/nixl/nixl_limits.h"
#include "wire/kv_transfer/nixl_handshake.h"

namespace kvasir {

class NixlHandshakeCall {
 public:
  using Answered = std::function<void(const Result<NixlHandshake>&)>;

  // `answered` is called once, in a later turn, unless this is destroyed before; it may destroy it.
  // `host` may be a name: ZeroMQ looks it up on a thread of its own.
  NixlHandshakeCall(EventLoop& loop, ZmqContext& context, const NixlLimits& limits,
                    const std::string& host, uint16_t port, Answered answered);
  ~NixlHandshakeCall();
  NixlHandshakeCall(const NixlHandshakeCall&) = delete;
  NixlHandshakeCall& operator=(const NixlHandshakeCall&) = delete;

 private:
  Result<void> ask(ZmqContext& context, const NixlLimits& limits, const std::string& address);
  void on_message(ZmqFrames frames);
  void answer(Result<NixlHandshake> with);

  EventLoop& loop_;
  const std::string where_;
  const Answered answered_;
  std::unique_ptr<ZmqSocket> socket_;
  std::unique_ptr<ZmqMonitor> monitor_;
  TimerId timeout_ = kNoTimer;
  bool is_answered_ = false;
  Lifeline lifeline_;
};

}  // namespace kvasir

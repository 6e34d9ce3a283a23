// The prefiller's side channel: tells decoders, vLLM's too, what they need to know before they
// read. Who reads that it is no engine of theirs goes away. Lives on its loop.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "net/zmq/zmq_socket.h"
#include "transfer/nixl/nixl_counts.h"
#include "transfer/nixl/nixl_limits.h"
#include "wire/kv_transfer/nixl_handshake.h"

namespace kvasir {

class NixlSideChannel {
 public:
  // Port 0: a free one. The error names the variables to change. What is referred to outlives it.
  static Result<std::unique_ptr<NixlSideChannel>> bind(ZmqContext& context,
                                                       const NixlLimits& limits,
                                                       const std::string& host, uint16_t port,
                                                       NixlCounts& counts);
  NixlSideChannel(const NixlSideChannel&) = delete;
  NixlSideChannel& operator=(const NixlSideChannel&) = delete;

  uint16_t port() const { return port_; }
  // Answers from now on.
  void listen(EventLoop& loop, const NixlHandshake& handshake);

 private:
  NixlSideChannel(std::unique_ptr<ZmqSocket> socket, uint16_t port, NixlCounts& counts)
      : socket_(std::move(socket)), port_(port), counts_(counts) {}

  const std::unique_ptr<ZmqSocket> socket_;
  const uint16_t port_;
  NixlCounts& counts_;
  std::string answer_;
};

}  // namespace kvasir

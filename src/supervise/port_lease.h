// Keeps a TCP port for a child process: bound here but never listening, so that the child can
// listen on it whenever it is started, and nobody else (another program, or the source port of a
// passing connection) takes it while the child is down. Connecting to it is refused meanwhile.
#pragma once

#include <cstdint>
#include <string>

#include "base/result.h"
#include "net/io/socket.h"

namespace kvasir {

class PortLease {
 public:
  // Port 0 takes a free one. Fails when a program listens on the port already.
  static Result<PortLease> take(const std::string& host, uint16_t port);

  uint16_t port() const { return port_; }

 private:
  explicit PortLease(Descriptor socket) : socket_(std::move(socket)), port_(local_port(socket_)) {}

  Descriptor socket_;
  uint16_t port_;
};

}  // namespace kvasir

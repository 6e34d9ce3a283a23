#include "supervise/port_lease.h"

#include <cerrno>
#include <cstring>

namespace kvasir {

Result<PortLease> PortLease::take(const std::string& host, uint16_t port) {
  if (port != 0) {
    // Two bound sockets with SO_REUSEADDR get along; only listening tells whether the port is free.
    const Result<Descriptor> probe = listen_tcp(host, port, false);
    if (!probe) return probe.error();
  }
  const Result<SocketAddress> address = resolve(host, port);
  if (!address) return address.error();
  Descriptor socket(::socket(address->storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address->storage);
  if (bind(socket.get(), raw, address->size) != 0) {
    return Error{"cannot take a port on " + host + ": " + std::strerror(errno)};
  }
  return PortLease(std::move(socket));
}

}  // namespace kvasir

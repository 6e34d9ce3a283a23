// Where a socket is or connects to: an IPv4 or IPv6 address and a port.
#pragma once

#include <sys/socket.h>

#include <cstdint>
#include <optional>
#include <string>

namespace kvasir {

struct SocketAddress {
  sockaddr_storage storage{};
  socklen_t size = 0;

  bool operator==(const SocketAddress& other) const;
  // Its bytes, for maps: equal addresses with equal ports have equal keys.
  std::string key() const { return {reinterpret_cast<const char*>(&storage), size}; }
};

SocketAddress address_from(const sockaddr& raw, socklen_t size);
SocketAddress with_port(SocketAddress address, uint16_t port);

// The address that `host` spells, with port 0; nullopt: it is a name.
std::optional<SocketAddress> literal_address(const std::string& host);
// As literal_address() reads it, without the port.
std::string address_text(const SocketAddress& address);

}  // namespace kvasir

#include "net/io/socket_address.h"

#include <arpa/inet.h>
#include <netinet/in.h>

#include <cstring>

namespace kvasir {

bool SocketAddress::operator==(const SocketAddress& other) const {
  return size == other.size && std::memcmp(&storage, &other.storage, size) == 0;
}

SocketAddress address_from(const sockaddr& raw, socklen_t size) {
  SocketAddress address;
  std::memcpy(&address.storage, &raw, size);
  address.size = size;
  return address;
}

SocketAddress with_port(SocketAddress address, uint16_t port) {
  if (address.storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(port);
  }
  return address;
}

std::optional<SocketAddress> literal_address(const std::string& host) {
  SocketAddress address;
  auto* ipv4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &ipv4->sin_addr) == 1) {
    ipv4->sin_family = AF_INET;
    address.size = sizeof(sockaddr_in);
    return address;
  }
  auto* ipv6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, host.c_str(), &ipv6->sin6_addr) == 1) {
    ipv6->sin6_family = AF_INET6;
    address.size = sizeof(sockaddr_in6);
    return address;
  }
  return std::nullopt;
}

std::string address_text(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  const void* raw = address.storage.ss_family == AF_INET
                        ? static_cast<const void*>(
                              &reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_addr)
                        : &reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr;
  inet_ntop(address.storage.ss_family, raw, text, sizeof text);
  return text;
}

}  // namespace kvasir

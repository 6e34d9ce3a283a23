#include "feeds/address_book.h"

#include <arpa/inet.h>

#include <algorithm>

namespace kvasir {

namespace {

std::optional<SocketAddress> literal(const std::string& host) {
  SocketAddress address;
  auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
  if (inet_pton(AF_INET, host.c_str(), &v4->sin_addr) == 1) {
    v4->sin_family = AF_INET;
    address.size = sizeof(sockaddr_in);
    return address;
  }
  auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
  if (inet_pton(AF_INET6, host.c_str(), &v6->sin6_addr) == 1) {
    v6->sin6_family = AF_INET6;
    address.size = sizeof(sockaddr_in6);
    return address;
  }
  return std::nullopt;
}

void set_port(SocketAddress& address, uint16_t port) {
  if (address.storage.ss_family == AF_INET6) {
    reinterpret_cast<sockaddr_in6*>(&address.storage)->sin6_port = htons(port);
  } else {
    reinterpret_cast<sockaddr_in*>(&address.storage)->sin_port = htons(port);
  }
}

}  // namespace

bool is_literal_address(const std::string& host) {
  return literal(host).has_value();
}

const std::string& best_address(const std::vector<std::string>& addresses) {
  const auto v4 = std::find_if(addresses.begin(), addresses.end(), [](const std::string& address) {
    return address.find(':') == std::string::npos;
  });
  return v4 != addresses.end() ? *v4 : addresses.front();
}

std::optional<SocketAddress> AddressBook::find(const std::string& host, uint16_t port) const {
  std::optional<SocketAddress> address =
      known_->with([&](const Known& known) -> std::optional<SocketAddress> {
        const auto found = known.find(host);
        if (found == known.end()) return std::nullopt;
        return found->second;
      });
  if (!address) address = literal(host);
  if (address) set_port(*address, port);
  return address;
}

void AddressBook::set(const std::string& host, const std::string& text) {
  const std::optional<SocketAddress> address = literal(text);
  if (address) known_->with([&](Known& known) { known[host] = *address; });
}

std::string address_text(const SocketAddress& address) {
  char text[INET6_ADDRSTRLEN] = {};
  const void* raw =
      address.storage.ss_family == AF_INET
          ? static_cast<const void*>(&reinterpret_cast<const sockaddr_in*>(&address.storage)->sin_addr)
          : &reinterpret_cast<const sockaddr_in6*>(&address.storage)->sin6_addr;
  inet_ntop(address.storage.ss_family, raw, text, sizeof text);
  return text;
}

}  // namespace kvasir

#include "feeds/address_book.h"

#include <algorithm>

namespace kvasir {

std::optional<SocketAddress> AddressBook::find(const std::string& host, uint16_t port) const {
  std::optional<SocketAddress> address =
      known_->with([&](const Known& known) -> std::optional<SocketAddress> {
        const auto found = known.find(host);
        if (found == known.end()) return std::nullopt;
        return found->second;
      });
  if (!address) address = literal_address(host);
  if (!address) return std::nullopt;
  return with_port(*address, port);
}

void AddressBook::set(const std::string& host, const SocketAddress& address) {
  known_->with([&](Known& known) { known[host] = address; });
}

bool AddressBook::follow(const std::string& host, const Resolver::Addresses& addresses) {
  const std::optional<SocketAddress> now = find(host, 0);
  if (now && std::find(addresses.begin(), addresses.end(), *now) != addresses.end()) return false;
  set(host, preferred_address(addresses));
  return true;
}

}  // namespace kvasir

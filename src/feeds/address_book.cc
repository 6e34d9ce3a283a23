#include "feeds/address_book.h"

#include <algorithm>

namespace kvasir {

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
  if (!address) address = literal_address(host);
  if (!address) return std::nullopt;
  return with_port(*address, port);
}

void AddressBook::set(const std::string& host, const std::string& text) {
  const std::optional<SocketAddress> address = literal_address(text);
  if (address) known_->with([&](Known& known) { known[host] = *address; });
}

}  // namespace kvasir

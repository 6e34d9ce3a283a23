// Where endpoints answer: literal addresses as they are, names as they were looked up last.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/guarded.h"
#include "net/io/socket.h"

namespace kvasir {

// Thread-safe.
class AddressBook {
 public:
  AddressBook() : known_(std::make_unique<Guarded<Known>>()) {}
  // nullopt: the host is neither a literal nor one of the names.
  std::optional<SocketAddress> find(const std::string& host, uint16_t port) const;
  // The name has another address, a literal.
  void set(const std::string& host, const std::string& address);

 private:
  using Known = std::map<std::string, SocketAddress>;  // by host

  std::unique_ptr<Guarded<Known>> known_;
};

// Of the addresses of a name, at least one, the one to use: IPv4 first, as resolve() has it.
const std::string& best_address(const std::vector<std::string>& addresses);

}  // namespace kvasir

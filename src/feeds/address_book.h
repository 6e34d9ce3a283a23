// Where endpoints answer: literal addresses as they are, names as they were looked up at the start.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/socket.h"

namespace kvasir {

// Does not change once it is made, so any thread may read it.
class AddressBook {
 public:
  AddressBook() = default;
  // Looks every name up, which blocks.
  static Result<AddressBook> of(const std::vector<HostPort>& origins);

  // nullopt: the host is neither a literal nor one of the names.
  std::optional<SocketAddress> find(const std::string& host, uint16_t port) const;

 private:
  std::map<std::string, SocketAddress> known_;  // by host
};

// Whether `host` is an IPv4 or IPv6 address.
bool is_literal_address(const std::string& host);

}  // namespace kvasir

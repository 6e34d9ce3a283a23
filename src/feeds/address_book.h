// Where endpoints answer: literal addresses as they are, names as they were looked up last.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>

#include "base/guarded.h"
#include "net/io/resolver.h"
#include "net/io/socket.h"

namespace kvasir {

// Thread-safe.
class AddressBook {
 public:
  AddressBook() : known_(std::make_unique<Guarded<Known>>()) {}
  // nullopt: the host is neither a literal nor one of the names.
  std::optional<SocketAddress> find(const std::string& host, uint16_t port) const;
  // The name has another address; its port does not matter.
  void set(const std::string& host, const SocketAddress& address);
  // The name has these addresses, at least one. It keeps the one it has while that is among them;
  // true: it has another one now.
  bool follow(const std::string& host, const Resolver::Addresses& addresses);

 private:
  using Known = std::map<std::string, SocketAddress>;  // by host

  std::unique_ptr<Guarded<Known>> known_;
};

}  // namespace kvasir

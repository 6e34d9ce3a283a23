// Which prefill workers the sidecar may be sent to by a request: addresses with their ports.
// Whoever reaches the sidecar's port names the worker, and a sidecar that connected to any address
// would take a stranger's requests, and their keys, into the pod's network.
//
// Addresses count, not their spelling: "::1", "0:0::1" and "::0001" are one, and so are an IPv4
// address and the IPv6 address that stands for it. Names are for who fills the list, or are
// looked up before they are compared (sidecar/candidate_check.h).
//
// Thread-safe. Nothing is allowed before a first list was given.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "net/io/socket_address.h"

namespace kvasir {

class PrefillerAllowlist {
 public:
  // What the list holds under a name of its source (a pod's); its address may change.
  struct Entry {
    std::string name;
    std::string host;  // a literal; anything else allows nothing
    uint16_t port = 0;
  };

  // On `address`'s port.
  bool allows(const SocketAddress& address) const;
  // On any port: for what a prefill worker serves beside its API, as Mooncake's bootstrap server.
  bool allows_host(const SocketAddress& address) const;

  // Both say whether that changed anything.
  bool replace_all(const std::vector<Entry>& entries);
  // `put`: new ones, and those whose address changed. A removed name that is not there is ignored.
  bool apply(const std::vector<Entry>& put, const std::vector<std::string>& removed);

  // Addresses, each once.
  size_t size() const;
  // Whether a list was given.
  bool settled() const { return settled_; }

 private:
  struct List {
    std::unordered_map<std::string, std::string> address_of;  // by name
    std::unordered_map<std::string, size_t> names_at;         // by address, how many
    std::unordered_map<std::string, size_t> names_on;         // by host
    bool put(const Entry& entry);
    bool remove(const std::string& name);
  };

  Guarded<List> list_;
  std::atomic<bool> settled_{false};
};

}  // namespace kvasir

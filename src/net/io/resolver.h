// Finds the addresses of a host: every look-up of a running program goes through a Resolver, so
// that no loop and no destructor waits for the system's, which may take as long as it likes.
//
// Only resolve() and listen_tcp() (net/io/socket.h) block: they are for the address on which a
// program itself listens, a literal or a name of this machine, once when it starts.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/executor.h"
#include "base/result.h"
#include "net/io/socket.h"

namespace kvasir {

class EventLoop;

// Thread-safe.
class Resolver {
 public:
  // Each address of the host once, the system's preferred one first; their port is 0. Empty: the
  // name has no address. An error: nobody can tell.
  using Addresses = std::vector<SocketAddress>;
  using Answered = std::function<void(const Result<Addresses>&)>;

  // A look-up under way; its destruction gives the look-up up. Destroyed on its executor's thread,
  // before the executor and before the Resolver.
  class LookUp {
   public:
    virtual ~LookUp() = default;
  };

  virtual ~Resolver() = default;

  // Called on `executor`'s thread. `answered` is called there too, once, in a later turn, unless
  // the LookUp is destroyed before; it may destroy the LookUp. A literal address is its own answer.
  [[nodiscard]] virtual std::unique_ptr<LookUp> look_up(Executor& executor, const std::string& host,
                                                        Answered answered) = 0;
};

// Of the addresses of a host, at least one, the one to use when one is enough: IPv4 first.
const SocketAddress& preferred_address(const Resolver::Addresses& addresses);

// For a program that has nothing to do before it knows: runs `loop`, which must not be running,
// until the answer is there. A host without an address is an error.
Result<SocketAddress> look_up_first(EventLoop& loop, Resolver& resolver, const HostPort& origin);

}  // namespace kvasir

// Looks the names of peers up, again and again, on a thread of its own: a look-up may block for
// seconds. Replicas behind a headless service come and go.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "net/io/socket.h"

namespace kvasir {

class PeerLookUp {
 public:
  // `found` is called on the thread of its own, at once and then every `interval`, with all
  // addresses of all peers that could be looked up, and why others could not (else empty).
  using Found = std::function<void(std::vector<SocketAddress>, std::string error)>;
  PeerLookUp(std::vector<HostPort> peers, Duration interval, Found found);
  // Does not wait for a look-up that is under way; `found` is not called any more.
  ~PeerLookUp();
  PeerLookUp(const PeerLookUp&) = delete;
  PeerLookUp& operator=(const PeerLookUp&) = delete;

 private:
  struct Shared;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace kvasir

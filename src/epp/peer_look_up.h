// Looks the names of peers up, again and again, on a thread of its own: a look-up may block for
// seconds. Replicas behind a headless service come and go.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "net/socket.h"

namespace kvasir {

class PeerLookUp {
 public:
  // `found` is called on the thread of its own, at once and then every `interval`, with all
  // addresses of all peers that could be looked up, and why others could not (else empty).
  using Found = std::function<void(std::vector<SocketAddress>, std::string error)>;
  PeerLookUp(std::vector<HostPort> peers, Duration interval, Found found);
  // Waits for a look-up that is under way.
  ~PeerLookUp();

 private:
  void run();

  const std::vector<HostPort> peers_;
  const Duration interval_;
  const Found found_;
  std::mutex mutex_;
  std::condition_variable stopped_changed_;
  bool stopped_ = false;
  std::thread thread_;
};

}  // namespace kvasir

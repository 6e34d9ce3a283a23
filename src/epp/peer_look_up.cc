#include "epp/peer_look_up.h"

#include <utility>

namespace kvasir {

PeerLookUp::PeerLookUp(std::vector<HostPort> peers, Duration interval, Found found)
    : peers_(std::move(peers)),
      interval_(interval),
      found_(std::move(found)),
      thread_([this] { run(); }) {}

PeerLookUp::~PeerLookUp() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    stopped_ = true;
  }
  stopped_changed_.notify_all();
  thread_.join();
}

void PeerLookUp::run() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopped_) {
    lock.unlock();
    std::vector<SocketAddress> addresses;
    std::string error;
    for (const HostPort& peer : peers_) {
      const Result<std::vector<SocketAddress>> found = resolve_every(peer.host, peer.port);
      if (found) {
        addresses.insert(addresses.end(), found->begin(), found->end());
      } else {
        error = found.error().message;
      }
    }
    found_(std::move(addresses), std::move(error));
    lock.lock();
    stopped_changed_.wait_for(lock, interval_, [this] { return stopped_; });
  }
}

}  // namespace kvasir

#include "epp/peer_look_up.h"

#include <condition_variable>
#include <csignal>
#include <mutex>
#include <thread>
#include <utility>

namespace kvasir {
namespace {

// All addresses of all peers, and why others could not be looked up.
std::pair<std::vector<SocketAddress>, std::string> look_up(const std::vector<HostPort>& peers) {
  std::vector<SocketAddress> addresses;
  std::string error;
  for (const HostPort& peer : peers) {
    const Result<std::vector<SocketAddress>> found = resolve_every(peer.host, peer.port);
    if (found) {
      addresses.insert(addresses.end(), found->begin(), found->end());
    } else {
      error = found.error().message;
    }
  }
  return {std::move(addresses), std::move(error)};
}

}  // namespace

// What the thread has of its own: a look-up may outlive who asked for it.
struct PeerLookUp::Shared {
  std::vector<HostPort> peers;
  Duration interval{};
  std::mutex mutex;
  std::condition_variable stopped_changed;
  Found found;  // null once stopped

  void run() {
    for (;;) {
      auto [addresses, error] = look_up(peers);
      std::unique_lock<std::mutex> lock(mutex);
      if (!found) return;
      found(std::move(addresses), std::move(error));
      stopped_changed.wait_for(lock, interval, [this] { return !found; });
      if (!found) return;
    }
  }
};

PeerLookUp::PeerLookUp(std::vector<HostPort> peers, Duration interval, Found found)
    : shared_(std::make_shared<Shared>()) {
  shared_->peers = std::move(peers);
  shared_->interval = interval;
  shared_->found = std::move(found);
  // Signals are for the thread that waits for them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  std::thread([shared = shared_] { shared->run(); }).detach();
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
}

PeerLookUp::~PeerLookUp() {
  {
    std::lock_guard<std::mutex> lock(shared_->mutex);
    shared_->found = nullptr;
  }
  shared_->stopped_changed.notify_all();
}

}  // namespace kvasir

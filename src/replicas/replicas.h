// The other replicas of this picker: where they are, what they are told and what they say.
//
// No leader and no order: everybody tells everybody, each over a call that it keeps open. Replicas
// behind a headless service come and go: names are looked up again and again. Lives on one loop.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/clock.h"
#include "feeds/name_watch.h"
#include "net/io/event_loop.h"
#include "net/io/resolver.h"
#include "net/io/socket.h"
#include "net/io/tls_context.h"
#include "replicas/replica_receiver.h"
#include "replicas/replica_sync.h"

namespace kvasir {

struct ReplicaOptions {
  // Every address of each is called, this process's own among them: it is recognized. None: nothing
  // is shared, and nobody is listened to.
  std::vector<HostPort> peers = {};
  // Whether somebody else finds peers, and tells Replicas::set_addresses() where they are.
  bool peers_are_told = false;
  Duration look_up_interval = std::chrono::seconds(5);  // replicas come and go
  size_t links_max = 64;                                // addresses; more are not called
  Duration first_retry = std::chrono::milliseconds(100);
  Duration retry_max = std::chrono::seconds(2);
  Duration refused_retry = std::chrono::seconds(10);  // by one who is no replica, or oneself
  // Of one who does not read; news is not told until it does.
  size_t unsent_bytes_max = 8 * 1024 * 1024;
  // Whether their ports speak TLS. Any certificate will do: who knows the secret is a replica.
  bool tls = false;
  // The same for all; who does not know it is neither told nor heard. Empty: everybody is, so all
  // must be of one machine (needs_secret()).
  std::string secret = {};
  Duration trouble_interval = std::chrono::minutes(10);  // before the same is told again
  ReplicaReceiverLimits receiver = {};
  ReplicaSyncOptions sync = {};
};

inline constexpr size_t kReplicaSecretBytesMin = 16;

// Whether anything is shared at all.
inline bool shares(const ReplicaOptions& options) {
  return !options.peers.empty() || options.peers_are_told;
}

// Whether sharing through `host` with these peers can be seen or joined from other machines.
bool needs_secret(const std::string& host, const std::vector<HostPort>& peers);

class Replicas final : private ReplicaSink {
 public:
  // All must outlive it. The clock is the scheduler's and runs at the loop's speed.
  Replicas(EventLoop& loop, Resolver& resolver, const Fleet& fleet, Scheduler& scheduler,
           const Clock& clock, ReplicaProbe& probe, const ReplicaOptions& options);
  ~Replicas() override;

  // What the server of one thread, which `loop` is, needs to hear the others. To be destroyed
  // before this, when the home loop has done what was posted to it, or does no more.
  std::unique_ptr<ReplicaReceiver> make_receiver(EventLoop& loop);

  // Beside the peers that have names: all addresses there are now, this process's own may be among
  // them. Those of the call before that are not named again are called no more.
  void set_addresses(std::vector<SocketAddress> addresses);

 private:
  class Link;
  static constexpr size_t kTroublesMax = 64;

  void on_message(ReplicaMessage message) override;
  void on_speaker_gone(uint64_t origin) override { sync_.lost(origin); }
  void on_speaker_refused(ReplicaRefusal reason, const std::string& why) override;

  void on_addresses(const std::string& host, const Resolver::Addresses& addresses);
  // Calls every address of every peer, and no other.
  void link_peers();
  void tick();
  // The same trouble is told once in a while.
  void report(const std::string& trouble);

  EventLoop& loop_;
  const Clock& clock_;
  ReplicaProbe& probe_;
  const ReplicaOptions options_;
  ReplicaSync sync_;
  const std::unique_ptr<TlsClientContext> tls_;           // null: plain
  std::map<std::string, Resolver::Addresses> addresses_;  // by host, as found last
  std::vector<SocketAddress> told_addresses_;
  std::map<std::string, std::unique_ptr<Link>> links_;    // by the key of the address
  TimerId tick_ = kNoTimer;
  std::map<std::string, TimePoint> told_;  // trouble, and when; kTroublesMax at most
  NameWatch watch_;
};

}  // namespace kvasir

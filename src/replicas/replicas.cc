#include "replicas/replicas.h"

#include <algorithm>
#include <optional>
#include <random>
#include <set>
#include <utility>

#include "net/grpc/grpc_client.h"
#include "replicas/replica_probe.h"
#include "replicas/replica_session.h"

namespace kvasir {
namespace {

uint64_t random_id() {
  std::random_device device;
  const uint64_t high = device();
  return (high << 32 | device()) | 1;  // never 0
}

GrpcClientLimits limits_of(const ReplicaOptions& options) {
  GrpcClientLimits limits;
  limits.connect_timeout = options.retry_max;
  limits.unacknowledged_timeout =
      std::chrono::duration_cast<std::chrono::milliseconds>(options.sync.timeout);
  return limits;
}

std::unique_ptr<TlsClientContext> tls_of(const ReplicaOptions& options) {
  if (!options.tls) return nullptr;
  TlsClientOptions tls;
  tls.protocol = TlsProtocol::kHttp2;
  tls.check_server = false;
  return std::move(TlsClientContext::create(tls).value());  // reads no file, so nothing can fail
}

std::vector<std::string> hosts_of(const std::vector<HostPort>& peers) {
  std::vector<std::string> hosts;
  for (const HostPort& peer : peers) hosts.push_back(peer.host);
  return hosts;
}

}  // namespace

bool needs_secret(const std::string& host, const std::vector<HostPort>& peers) {
  return !is_loopback(host) || !std::all_of(peers.begin(), peers.end(), [](const HostPort& peer) {
    return is_loopback(peer.host);
  });
}

// The call to one address, made again whenever it ends.
class Replicas::Link final : public GrpcClientCall::Observer {
 public:
  Link(Replicas& replicas, const SocketAddress& address)
      : replicas_(replicas),
        client_(replicas.loop_, address, "replica", limits_of(replicas.options_),
                TlsPeer{replicas.tls_.get(), "replica"}),
        wait_(replicas.options_.first_retry) {
    call();
  }
  ~Link() override { replicas_.loop_.cancel(retry_); }

  void say(std::string_view message) {
    if (call_ == nullptr || !sealer_->ready()) return;
    if (call_->unsent_bytes() > replicas_.options_.unsent_bytes_max) {
      behind_ = true;
      return;
    }
    call_->send(sealer_->seal(message), message);
  }

  // Somebody new is there: it may be who did not answer.
  void hurry() {
    if (call_ != nullptr || refused_) return;
    replicas_.loop_.cancel(retry_);
    call();
  }

 private:
  void call() {
    retry_ = kNoTimer;
    behind_ = false;
    sealer_.emplace(replicas_.options_.secret, replicas_.sync_.id());
    call_ = &client_.start(ReplicaReceiver::kPath, *this, Duration::zero());
    call_->send(sealer_->hello());
  }
  // Its challenge: it listens, and is not this process.
  void on_message(std::string_view challenge) override {
    if (const Result<void> heard = sealer_->hear(challenge); !heard) {
      std::exchange(call_, nullptr)->cancel();
      return on_end(
          {static_cast<uint32_t>(GrpcCode::kUnauthenticated), heard.error().message, true});
    }
    wait_ = replicas_.options_.first_retry;
    replicas_.sync_.greet();
  }
  // It reads again: it is told everything again.
  void on_drained() override {
    if (std::exchange(behind_, false)) replicas_.sync_.greet();
  }
  void on_end(const GrpcStatus& status) override {
    call_ = nullptr;
    // OK: it is this process. Other codes come from one who does not listen to us.
    refused_ = status.from_server && status.code != static_cast<uint32_t>(GrpcCode::kUnavailable);
    if (refused_ && !status.ok()) {
      replicas_.report("a peer does not listen, or is not to be told: " +
                       status.message.substr(0, kStatusTextMax));
    }
    const Duration wait = refused_ ? replicas_.options_.refused_retry : wait_;
    retry_ = replicas_.loop_.after(wait, [this] { call(); });
    wait_ = std::min(2 * wait_, replicas_.options_.retry_max);
  }

  static constexpr size_t kStatusTextMax = 200;  // of what a stranger may say

  Replicas& replicas_;
  GrpcClient client_;
  GrpcClientCall* call_ = nullptr;       // null: waiting to call again
  std::optional<ReplicaSealer> sealer_;  // of this call
  bool behind_ = false;                  // it did not read, and was not told everything
  bool refused_ = false;                 // the last call, by whoever listens there
  Duration wait_;
  TimerId retry_ = kNoTimer;
};

Replicas::Replicas(EventLoop& loop, Resolver& resolver, const Fleet& fleet, Scheduler& scheduler,
                   const Clock& clock, ReplicaProbe& probe, const ReplicaOptions& options)
    : loop_(loop),
      clock_(clock),
      probe_(probe),
      options_(options),
      sync_(random_id(), fleet, scheduler, clock, probe, options.sync),
      tls_(tls_of(options)),
      watch_(
          loop, resolver, hosts_of(options.peers), options.look_up_interval,
          [this](const std::string& host, const Resolver::Addresses& addresses) {
            on_addresses(host, addresses);
          },
          [this](const std::string&, const std::string& why) {
            report("a peer is not found: " + why);
          }) {
  tick();
}

Replicas::~Replicas() {
  loop_.cancel(tick_);
}

std::unique_ptr<ReplicaReceiver> Replicas::make_receiver(EventLoop& loop) {
  ReplicaSink& sink = *this;
  return std::make_unique<ReplicaReceiver>(loop, loop_, sink, sync_.id(), options_.secret,
                                           options_.receiver);
}

void Replicas::on_speaker_refused(ReplicaRefusal reason, const std::string& why) {
  probe_.on_replica_refused(reason);
  report(why);
}

void Replicas::tick() {
  if (const std::optional<std::string> message = sync_.tick()) {
    for (const auto& link : links_) link.second->say(*message);
  }
  tick_ = loop_.after(options_.sync.interval / 2, [this] { tick(); });
}

void Replicas::on_message(ReplicaMessage message) {
  const size_t before = sync_.others();
  if (sync_.hear(std::move(message)) == ReplicaSync::Heard::kTooMany) {
    report("more than " + std::to_string(options_.sync.origins_max) +
           " replicas speak: the others are not listened to");
  }
  if (sync_.others() == before) return;
  for (const auto& link : links_) link.second->hurry();
}

// While a name has no address its former ones are still called.
void Replicas::on_addresses(const std::string& host, const Resolver::Addresses& addresses) {
  if (addresses.empty()) return report("a peer is not found: " + host + " has no address");
  addresses_[host] = addresses;
  link_peers();
}

void Replicas::set_addresses(std::vector<SocketAddress> addresses) {
  told_addresses_ = std::move(addresses);
  link_peers();
}

void Replicas::link_peers() {
  std::map<std::string, SocketAddress> wanted;
  for (const HostPort& peer : options_.peers) {
    for (const SocketAddress& address : addresses_[peer.host]) {
      const SocketAddress at = with_port(address, peer.port);
      wanted.emplace(at.key(), at);
    }
  }
  for (const SocketAddress& address : told_addresses_) wanted.emplace(address.key(), address);
  std::erase_if(links_, [&](const auto& link) { return wanted.count(link.first) == 0; });
  for (const auto& [key, address] : wanted) {
    if (links_.count(key) != 0) continue;
    if (links_.size() >= options_.links_max) {
      return report("more than " + std::to_string(options_.links_max) +
                    " peers: the others are not called");
    }
    links_.emplace(key, std::make_unique<Link>(*this, address));
  }
}

void Replicas::report(const std::string& trouble) {
  const TimePoint now = clock_.now();
  const auto told = told_.find(trouble);
  if (told != told_.end() && now < told->second + options_.trouble_interval) return;
  if (told == told_.end() && told_.size() >= kTroublesMax) return;
  told_[trouble] = now;
  probe_.on_replica_trouble(trouble);
}

}  // namespace kvasir

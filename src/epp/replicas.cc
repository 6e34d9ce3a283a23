#include "epp/replicas.h"

#include <algorithm>
#include <random>
#include <set>
#include <utility>

#include "epp/peer_look_up.h"
#include "epp/probe.h"
#include "net/grpc_client.h"

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

std::string key_of(const SocketAddress& address) {
  return {reinterpret_cast<const char*>(&address.storage), address.size};
}

}  // namespace

// The call to one address, made again whenever it ends.
class Replicas::Link final : public GrpcClientCall::Observer {
 public:
  Link(Replicas& replicas, const SocketAddress& address)
      : replicas_(replicas),
        client_(replicas.loop_, address, "replica", limits_of(replicas.options_)),
        wait_(replicas.options_.first_retry) {
    call();
  }
  ~Link() override { replicas_.loop_.cancel(retry_); }

  void say(std::string_view message) {
    if (call_ == nullptr) return;
    if (call_->unsent_bytes() > replicas_.options_.unsent_bytes_max) {
      told_ = 0;  // when it reads again it is told everything again
      return;
    }
    call_->send(message);
  }

  // Somebody new is there: it may be who did not answer.
  void hurry() {
    if (call_ != nullptr || refused_) return;
    replicas_.loop_.cancel(retry_);
    call();
  }

 private:
  // Who does not listen, or is this process, ends the call at the first one.
  static constexpr uint32_t kToldBeforeGreeting = 2;

  void call() {
    retry_ = kNoTimer;
    call_ = &client_.start(ReplicaReceiver::kPath, *this, Duration::zero());
  }
  void on_message(std::string_view) override {}
  void on_drained() override {
    if (++told_ != kToldBeforeGreeting) return;
    wait_ = replicas_.options_.first_retry;
    replicas_.sync_.greet();
  }
  void on_end(const GrpcStatus& status) override {
    call_ = nullptr;
    told_ = 0;
    // OK: it is this process. Other codes come from one who does not listen to us.
    refused_ = status.from_server && status.code != static_cast<uint32_t>(GrpcCode::kUnavailable);
    if (refused_ && !status.ok()) replicas_.report("a peer does not listen: " + status.message);
    const Duration wait = refused_ ? replicas_.options_.refused_retry : wait_;
    retry_ = replicas_.loop_.after(wait, [this] { call(); });
    wait_ = std::min(2 * wait_, replicas_.options_.retry_max);
  }

  Replicas& replicas_;
  GrpcClient client_;
  GrpcClientCall* call_ = nullptr;  // null: waiting to call again
  uint32_t told_ = 0;               // messages that it took, of this call
  bool refused_ = false;            // the last call, by whoever listens there
  Duration wait_;
  TimerId retry_ = kNoTimer;
};

Replicas::Replicas(EventLoop& loop, const Fleet& fleet, Scheduler& scheduler, const Clock& clock,
                   ReplicaProbe& probe, const ReplicaOptions& options)
    : loop_(loop),
      probe_(probe),
      options_(options),
      sync_(random_id(), fleet, scheduler, clock, probe, options.sync) {
  tick();
  look_up_ = std::make_unique<PeerLookUp>(
      options_.peers, options_.look_up_interval,
      [this](std::vector<SocketAddress> addresses, std::string error) {
        loop_.post([this, alive = std::weak_ptr<bool>(alive_), addresses = std::move(addresses),
                    error = std::move(error)] {
          if (!alive.expired()) on_addresses(addresses, error);
        });
      });
}

Replicas::~Replicas() {
  loop_.cancel(tick_);
}

std::unique_ptr<ReplicaReceiver> Replicas::make_receiver() {
  ReplicaSink& sink = *this;
  return std::make_unique<ReplicaReceiver>(loop_, sink, sync_.id());
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

// An address that is gone is called no more, unless a name could not be looked up: it may be its.
void Replicas::on_addresses(const std::vector<SocketAddress>& addresses, const std::string& error) {
  std::set<std::string> wanted;
  for (const SocketAddress& address : addresses) {
    const std::string key = key_of(address);
    wanted.insert(key);
    if (links_.count(key) != 0) continue;
    if (links_.size() >= options_.links_max) {
      report("more than " + std::to_string(options_.links_max) +
             " peers: the others are not called");
      break;
    }
    links_.emplace(key, std::make_unique<Link>(*this, address));
  }
  if (!error.empty()) return report("a peer is not found: " + error);
  for (auto at = links_.begin(); at != links_.end();) {
    at = wanted.count(at->first) != 0 ? std::next(at) : links_.erase(at);
  }
}

void Replicas::report(const std::string& trouble) {
  if (trouble == last_trouble_) return;
  last_trouble_ = trouble;
  probe_.on_replica_refused(trouble);
}

}  // namespace kvasir

#include "epp/epp_thread.h"

#include <cstdio>

#include "epp/epp.h"
#include "epp/exchange.h"
#include "epp/subset.h"
#include "net/grpc/grpc_health.h"
#include "net/io/event_loop.h"
#include "replicas/replicas.h"

namespace kvasir {
namespace {

// `replicas` may be null.
std::vector<GrpcRoute> routes_of(EppThread& thread, GrpcHealthService& health,
                                 ReplicaReceiver* replicas) {
  std::vector<GrpcRoute> routes = health.routes();
  routes.push_back({"/envoy.service.ext_proc.v3.ExternalProcessor/Process", &thread});
  if (replicas != nullptr) routes.push_back({ReplicaReceiver::kPath, replicas});
  return routes;
}

}  // namespace

EppThread::EppThread(Epp& epp, EventLoop& loop, Descriptor listener, uint32_t index)
    : options_(epp.options()),
      probe_(epp.probe()),
      bodies_(epp.bodies()),
      loop_(loop),
      pool_thread_(epp.pool(), loop, index),
      replicas_(epp.replicas() != nullptr ? epp.replicas()->make_receiver(loop) : nullptr),
      server_(loop, std::move(listener), routes_of(*this, epp.health_service(), replicas_.get()),
              options_.grpc, epp.tls()) {}

// The server goes first, and tells every exchange that its stream is gone.
EppThread::~EppThread() = default;

void EppThread::on_call(GrpcCall& call) {
  auto* exchange = new Exchange(*this, call);
  exchanges_.insert(exchange);
  call.set_observer(*exchange);
}

// The calls of other replicas would keep the server waiting: they never end.
void EppThread::drain(std::function<void()> drained) {
  if (replicas_) replicas_->drain();
  server_.drain(std::move(drained));
}

void EppThread::remove(Exchange& exchange) {
  exchanges_.erase(&exchange);
  delete &exchange;
}

// A version 4 UUID.
std::string EppThread::new_request_id() {
  Random& random = pool_thread_.random();
  const uint64_t high = (random.next() & ~0xf000ull) | 0x4000;
  const uint64_t low = (random.next() & 0x3fffffffffffffffull) | 0x8000000000000000ull;
  char text[37];
  std::snprintf(text, sizeof text, "%08x-%04x-%04x-%04x-%012llx", static_cast<unsigned>(high >> 32),
                static_cast<unsigned>(high >> 16 & 0xffff), static_cast<unsigned>(high & 0xffff),
                static_cast<unsigned>(low >> 48),
                static_cast<unsigned long long>(low & 0xffffffffffffull));
  return text;
}

std::optional<std::vector<EndpointId>> EppThread::allowed(
    const std::optional<std::vector<std::string>>& subset) {
  if (!subset || options_.subset == SubsetMode::kIgnored) return std::nullopt;
  std::vector<EndpointId> allowed;
  endpoints_in_subset(*pool().snapshot(), *subset, options_.subset, allowed);
  return allowed;
}

bool EppThread::needs_answers() {
  return options_.measure_answers || options_.answer_headers ||
         options_.pool.feeds.eject_outliers || pool().scheduler().watches_answers() ||
         pool().admission().holds();
}

bool EppThread::take_body_bytes(size_t bytes) {
  return bodies_.take(bytes, bytes);
}

void EppThread::release_body_bytes(size_t bytes) {
  if (bytes > 0) bodies_.give_back(bytes);
}

ExtProcHeadersAnswer& EppThread::headers_answer() {
  headers_answer_.clear_route_cache = false;
  headers_answer_.mutation.set.clear();
  headers_answer_.mutation.remove.clear();
  headers_answer_.mutation.append = ExtProcAppend::kUnset;
  headers_answer_.metadata.clear();
  headers_answer_.scores.clear();
  return headers_answer_;
}

}  // namespace kvasir

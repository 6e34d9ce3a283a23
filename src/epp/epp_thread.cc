#include "epp/epp_thread.h"

#include <cstdio>

#include "epp/epp.h"
#include "epp/exchange.h"
#include "epp/replicas.h"
#include "epp/subset.h"
#include "net/grpc/grpc_health.h"
#include "net/io/event_loop.h"

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

// What clients are told of an endpoint.
std::string pod_name(const Endpoint& endpoint) {
  if (!endpoint.name.empty()) return endpoint.name;
  return to_string(HostPort{endpoint.host, endpoint.port});
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

std::optional<EndpointId> EppThread::any_endpoint(
    const std::optional<std::vector<std::string>>& subset) {
  const std::shared_ptr<const Snapshot> fleet = pool().snapshot();
  if (subset && options_.subset != SubsetMode::kIgnored) {
    endpoints_in_subset(*fleet, *subset, options_.subset, allowed_);
  } else {
    allowed_.clear();
    for (uint32_t i = 0; i < fleet->endpoints.size(); ++i) allowed_.push_back(EndpointId(i));
  }
  // Of the best rank that anybody has.
  const auto rank = [&](EndpointId id) { return fleet->endpoints[index_of(id)].rank(); };
  EndpointState::Rank best = EndpointState::Rank::kOut;
  for (const EndpointId id : allowed_) best = std::min(best, rank(id));
  if (best == EndpointState::Rank::kOut) return std::nullopt;
  std::erase_if(allowed_, [&](EndpointId id) { return rank(id) != best; });
  return allowed_[pool_thread_.random().next() % allowed_.size()];
}

bool EppThread::needs_answers() {
  return options_.measure_answers || options_.answer_headers ||
         options_.pool.feeds.eject_outliers || pool().scheduler().watches_answers() ||
         pool().admission().mode() == AdmissionSettings::Mode::kFlowControl;
}

AnswerFields EppThread::answer_fields(const Endpoint& endpoint, const Decision& decision,
                                      Duration scheduling, std::string_view served) {
  std::shared_ptr<const Endpoint> prefill;
  if (decision.prefill)
    prefill = pool().snapshot()->endpoints[index_of(*decision.prefill)].endpoint;
  AnswerFields fields =
      pool().scheduler().answer_fields(AnswerOrigin{endpoint, prefill.get(), served});
  if (!options_.answer_headers) return fields;
  char text[32];
  std::snprintf(text, sizeof text, "%.3f", to_milliseconds(scheduling));
  fields.emplace_back("x-selected-pod", pod_name(endpoint));
  fields.emplace_back("x-cache-hit", decision.cached_tokens > 0 ? "true" : "false");
  fields.emplace_back("x-cache-prefix-length", std::to_string(decision.cached_tokens));
  fields.emplace_back("x-scheduling-time-ms", text);
  if (prefill != nullptr) {
    fields.emplace_back("x-prefill-pod", pod_name(*prefill));
    fields.emplace_back("x-decode-pod", pod_name(endpoint));
  }
  return fields;
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

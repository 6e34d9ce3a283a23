#include "gateway/pool_relays.h"

#include <algorithm>
#include <utility>

#include "gateway/gateway_error.h"
#include "gateway/relay.h"
#include "gateway/relay_head.h"
#include "gateway/request_bounds.h"
#include "net/io/event_loop.h"

namespace kvasir {

class PoolRelays::ReleaseCall final : private HttpCallObserver {
 public:
  ReleaseCall(PoolRelays& relays, HttpClient& client, std::string head, std::string body)
      : relays_(relays), head_(std::move(head)), body_(std::move(body)) {
    call_ = &client.start(head_, body_, *this);
  }
  ~ReleaseCall() override {
    if (call_ != nullptr) call_->cancel();
  }

 private:
  void on_head(const HttpHead&) override {}
  void on_end() override {
    call_ = nullptr;
    PoolRelays& relays = relays_;
    relays.releases_.erase(this);
    relays.on_one_over();
  }
  void on_failure(const HttpFailure&) override { on_end(); }

  PoolRelays& relays_;
  const std::string head_, body_;
  HttpCall* call_ = nullptr;
};

PoolRelays::PoolRelays(Pool& pool, const GatewayOptions& options, GatewayProbe& probe,
                       EventLoop& loop, uint32_t index)
    : options_(options),
      probe_(probe),
      loop_(loop),
      pool_thread_(pool, loop, index),
      upstream_authorization_(options.upstream_authorization),
      upstreams_(pool.fleet().size()) {}

PoolRelays::~PoolRelays() {
  for (Relay* relay : relays_) {
    relay->tell_stopped();
    delete relay;
  }
}

void PoolRelays::relay(HttpExchange& exchange, bool inference,
                       const std::optional<RequestPeek>& peek) {
  const Result<RequestBounds> bounds = request_bounds(exchange.head(), options_);
  if (!bounds) {
    const ApiError error = gateway_error(400, bounds.error().message);
    probe_.on_not_relayed(error.status, error.message);
    return exchange.respond(error.status, error_fields(error), error_body(error));
  }
  if (upstream_authorization_ != nullptr) {
    HttpHead& head = exchange.editable_head();
    head.remove_fields("authorization");
    head.add_field("Authorization", *upstream_authorization_);
  }
  auto* relay = new Relay(*this, exchange, inference, *bounds);
  relays_.insert(relay);
  relay->start(peek);
}

bool PoolRelays::release(EndpointId decoder, const HttpHead& request, std::string_view request_id,
                         std::string body) {
  Upstream* to = releases_.size() < options_.releases_max ? upstream(decoder) : nullptr;
  if (to == nullptr) return false;
  std::string head = upstream_request_head(request, body.size(), to->host, request_id);
  auto call = std::make_unique<ReleaseCall>(*this, *to->client, std::move(head), std::move(body));
  ReleaseCall* const key = call.get();
  releases_.emplace(key, std::move(call));
  return true;
}

void PoolRelays::remove(Relay& relay) {
  relays_.erase(&relay);
  delete &relay;
  on_one_over();
}

void PoolRelays::drain(std::function<void()> drained) {
  drained_ = std::move(drained);
  on_one_over();
}

void PoolRelays::on_one_over() {
  if (drained_ == nullptr || !relays_.empty() || !releases_.empty()) return;
  loop_.post(lifeline_.guard(std::exchange(drained_, nullptr)));
}

void PoolRelays::on_endpoint_down(EndpointId endpoint) {
  // A relay may be over when it could not be sent elsewhere; it takes no other one with it.
  const std::vector<Relay*> relays(relays_.begin(), relays_.end());
  for (Relay* relay : relays) relay->on_endpoint_down(endpoint);
}

PoolRelays::Upstream* PoolRelays::upstream(EndpointId endpoint) {
  Upstream& upstream = upstreams_[index_of(endpoint)];
  const auto snapshot = pool().snapshot();
  const EndpointState& state = snapshot->endpoints[index_of(endpoint)];
  if (upstream.client != nullptr && upstream.joined == state.joined) return &upstream;
  const Endpoint& owner = *state.endpoint;
  const auto address = pool().feeds()->addresses().find(owner.host, owner.port);
  if (!address) return nullptr;
  // Requests that run with the endpoint before go on.
  retired_.erase(std::remove_if(retired_.begin(), retired_.end(),
                                [](const auto& client) { return client->connections() == 0; }),
                 retired_.end());
  if (upstream.client != nullptr) retired_.push_back(std::move(upstream.client));
  upstream.host = to_string(HostPort{owner.host, owner.port});
  upstream.joined = state.joined;
  upstream.client = std::make_unique<HttpClient>(loop_, *address, options_.client);
  return &upstream;
}

}  // namespace kvasir

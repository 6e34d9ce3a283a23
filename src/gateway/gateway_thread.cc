#include "gateway/gateway_thread.h"

#include <algorithm>

#include "gateway/gateway.h"
#include "gateway/relay.h"
#include "net/event_loop.h"

namespace kvasir {
namespace {

std::string_view error_type(int status) {
  switch (status) {
    case 404: return "NotFoundError";
    case 408: return "RequestTimeoutError";
    case 502: return "BadGatewayError";
    case 503: return "ServiceUnavailableError";
    case 504: return "GatewayTimeoutError";
    default: return status < 500 ? "BadRequestError" : "InternalServerError";
  }
}

bool is_inference(const HttpHead& head) {
  return head.method() == "POST" && head.path().starts_with("/v1/");
}

}  // namespace

std::string error_body(int status, std::string_view message) {
  std::string body = "{\"error\":{\"message\":\"";
  body.append(message).append("\",\"type\":\"").append(error_type(status));
  body.append("\",\"param\":null,\"code\":").append(std::to_string(status)).append("}}");
  return body;
}

GatewayThread::GatewayThread(Gateway& gateway, EventLoop& loop, Descriptor listener, uint32_t index)
    : gateway_(gateway),
      loop_(loop),
      index_(index),
      server_(loop, std::move(listener), *this, gateway.options_.server),
      random_(static_cast<uint64_t>(SteadyClock().now().time_since_epoch().count()) + index) {
  for (const SocketAddress& address : gateway.addresses_) {
    clients_.push_back(std::make_unique<HttpClient>(loop, address, gateway.options_.client));
  }
  for (const HostPort& worker : gateway.options_.workers) hosts_.push_back(to_string(worker));
}

GatewayThread::~GatewayThread() {
  for (Relay* relay : relays_) delete relay;
}

void GatewayThread::on_request(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  const std::string_view path = head.path();
  if (head.method() == "GET" || head.method() == "HEAD") {
    if (path == "/health") return answer_health(exchange);
    if (path == "/live") return exchange.respond(200, "", "");
    if (path == "/metrics") {
      return exchange.respond(200, "Content-Type: text/plain; version=0.0.4; charset=utf-8\r\n",
                              gateway_.metrics_page_());
    }
  }
  const bool inference = is_inference(head);
  auto* relay = new Relay(*this, exchange, inference);
  relays_.insert(relay);
  relay->start(inference ? peeker_.peek(exchange.body()) : std::nullopt);
}

HttpHandler::Refusal GatewayThread::on_refused(int status, std::string_view reason) {
  gateway_.probe_.on_refused(status, reason);
  return {std::string(kJsonType), error_body(status, reason)};
}

void GatewayThread::answer_health(HttpExchange& exchange) {
  if (any_healthy()) return exchange.respond(200, "", "");
  exchange.respond(503, kJsonType, error_body(503, "no worker is healthy"));
}

bool GatewayThread::any_healthy() const {
  const auto snapshot = gateway_.fleet_.snapshot();
  return std::any_of(snapshot->endpoints.begin(), snapshot->endpoints.end(),
                     [](const EndpointState& state) { return state.healthy; });
}

std::optional<EndpointId> GatewayThread::next_in_turn(const std::vector<EndpointId>& tried) {
  const auto snapshot = gateway_.fleet_.snapshot();
  const uint32_t count = static_cast<uint32_t>(snapshot->endpoints.size());
  for (uint32_t i = 0; i < count; ++i) {
    const EndpointId candidate{turn_++ % count};
    if (!snapshot->endpoints[index_of(candidate)].healthy) continue;
    if (std::find(tried.begin(), tried.end(), candidate) == tried.end()) return candidate;
  }
  return std::nullopt;
}

}  // namespace kvasir

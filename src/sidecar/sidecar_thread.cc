#include "sidecar/sidecar_thread.h"

#include <optional>
#include <utility>

#include "net/http/http_path.h"
#include "net/io/event_loop.h"
#include "sidecar/prefill_header.h"
#include "sidecar/sidecar_relay.h"
#include "wire/kv_transfer/leg_bodies.h"

namespace kvasir {
namespace {

// Requests that have two legs, by their path. Of those that have not, the ones whose bodies can say
// what a client may not: kCompletions is what they are read as.
std::optional<RequestApi> api_of(const HttpHead& head) {
  constexpr std::pair<std::string_view, RequestApi> kPaths[] = {
      {"/v1/completions", RequestApi::kCompletions},
      {"/v1/chat/completions", RequestApi::kChatCompletions},
      {"/v1/responses", RequestApi::kResponses},
      {"/v1/messages", RequestApi::kAnthropicMessages},
      {"/inference/v1/generate", RequestApi::kVllmGenerate}};
  if (head.method() != "POST") return std::nullopt;
  for (const auto& [path, api] : kPaths) {
    if (head.path() == path) return api;
  }
  return std::nullopt;
}

}  // namespace

ApiError sidecar_error(int status, std::string_view type, std::string_view message) {
  ApiError error;
  error.status = status;
  error.type = type;
  error.message = message;
  return error;
}

std::string sidecar_error_fields(const ApiError& error) {
  return std::string("Content-Type: ").append(error_content_type(error)).append("\r\n");
}

SidecarThread::SidecarThread(Sidecar& sidecar, EventLoop& loop, Descriptor listener, uint32_t index)
    : sidecar_(sidecar),
      loop_(loop),
      random_(mix64(static_cast<uint64_t>(loop.now().time_since_epoch().count()) + index)),
      decoder_(loop, sidecar.decoder(), sidecar.options().client),
      prefillers_(loop, sidecar.resolver(),
                  {sidecar.options().prefillers_most, sidecar.options().name_lifetime,
                   sidecar.options().client}),
      server_(loop, std::move(listener), *this, sidecar.options().server, &sidecar.bodies()) {}

SidecarThread::~SidecarThread() {
  for (SidecarRelay* relay : relays_) delete relay;
  for (ReleaseCall* call : releases_) delete call;
}

void SidecarThread::on_request(HttpExchange& exchange) {
  if (!take_target(exchange)) return;
  const HttpHead& head = exchange.head();
  const bool reads = head.method() == "GET" || head.method() == "HEAD";
  if (reads && head.path() == "/health") return exchange.respond(200, "", "");
  const std::optional<RequestApi> api = api_of(head);
  std::optional<LegBodies> bodies;
  std::vector<HostPort> candidates;
  if (api) {
    Result<LegBodies> read = LegBodies::read(*api, exchange.body());
    if (!read) return refuse(exchange, bad_request(std::nullopt, read.error().message));
    bodies = std::move(*read);
    Result<std::vector<HostPort>> named = prefill_candidates(head, options().candidates_most);
    if (!named) return refuse(exchange, bad_request(std::nullopt, named.error().message));
    candidates = std::move(*named);
  }
  auto* relay = new SidecarRelay(*this, exchange);
  relays_.insert(relay);
  bodies ? relay->start(std::move(*bodies), std::move(candidates)) : relay->start();
}

// What is decided by a path is decided by the one that the decoder reads, too.
bool SidecarThread::take_target(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  if (head.method() == "CONNECT" || head.method() == "TRACE") {
    refuse(exchange, sidecar_error(405, "MethodNotAllowed", "CONNECT and TRACE are not relayed"));
    return false;
  }
  if (is_normal_target(head.target())) return true;
  const Result<NormalTarget> normal = normal_target(head.target());
  if (!normal || normal->encoded_slash) {
    const std::string why = normal ? "the path has an encoded slash, which can be read in two ways"
                                   : normal.error().message;
    refuse(exchange, bad_request(std::nullopt, why));
    return false;
  }
  exchange.set_target(normal->target, normal->authority);
  return true;
}

void SidecarThread::refuse(HttpExchange& exchange, const ApiError& error) {
  probe().on_refused(error.status, error.message);
  exchange.respond(error.status, sidecar_error_fields(error), error_body(error));
}

HttpHandler::Refusal SidecarThread::on_refused(int status, std::string_view reason) {
  probe().on_refused(status, reason);
  const ApiError error =
      status == 400 ? not_http_error() : sidecar_error(status, "BadRequestError", reason);
  return {sidecar_error_fields(error), error_body(error)};
}

void SidecarThread::remove(SidecarRelay& relay) {
  relays_.erase(&relay);
  delete &relay;
}

void SidecarThread::release(std::string head, std::string body) {
  releases_.insert(new ReleaseCall(*this, std::move(head), std::move(body)));
}

void SidecarThread::remove(ReleaseCall& call) {
  releases_.erase(&call);
  delete &call;
}

}  // namespace kvasir

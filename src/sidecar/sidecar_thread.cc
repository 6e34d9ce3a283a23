#include "sidecar/sidecar_thread.h"

#include <optional>
#include <utility>

#include "legs/leg_requests.h"
#include "net/io/event_loop.h"
#include "sidecar/prefill_header.h"
#include "wire/kv_transfer/leg_bodies.h"

namespace kvasir {
namespace {

class TellProbe final : public LegsObserver {
 public:
  explicit TellProbe(SidecarProbe& probe) : probe_(probe) {}
  void on_done(const LegsReport& report) override { probe_.on_done(report); }

 private:
  SidecarProbe& probe_;
};

}  // namespace

SidecarThread::SidecarThread(Sidecar& sidecar, EventLoop& loop, Descriptor listener, uint32_t index)
    : sidecar_(sidecar),
      loop_(loop),
      random_(mix64(static_cast<uint64_t>(loop.now().time_since_epoch().count()) + index)),
      decoder_(std::make_shared<HttpClient>(loop, sidecar.decoder(), sidecar.options().client)),
      prefillers_(loop, sidecar.resolver(),
                  {sidecar.options().prefillers_most, sidecar.options().name_lifetime,
                   sidecar.options().client}),
      relays_(loop, prefillers_, random_,
              {sidecar.options().handoff, sidecar.options().unread_bytes_max}),
      server_(loop, std::move(listener), *this, sidecar.options().server, &sidecar.bodies()) {}

void SidecarThread::on_request(HttpExchange& exchange) {
  if (const auto error = take_target(exchange)) return refuse(exchange, *error);
  const HttpHead& head = exchange.head();
  const bool reads = head.method() == "GET" || head.method() == "HEAD";
  if (reads && head.path() == "/health") return exchange.respond(200, "", "");
  LegsRoute route;
  route.request_id = request_id_of(head, random_);
  route.decoders.push_back({options().decoder, 0, {}, decoder_});
  auto observer = std::make_unique<TellProbe>(probe());
  const std::optional<RequestApi> api = two_leg_api(head);
  if (!api) return relays_.start(exchange, std::move(route), std::move(observer));
  Result<LegBodies> bodies = LegBodies::read(*api, exchange.body());
  if (!bodies) return refuse(exchange, bad_request(std::nullopt, bodies.error().message));
  const Result<std::vector<HostPort>> named = prefill_candidates(head, options().candidates_most);
  if (!named) return refuse(exchange, bad_request(std::nullopt, named.error().message));
  const uint16_t side_port = options().handoff.side_port();
  for (const HostPort& worker : *named) route.prefillers.push_back({worker, side_port});
  relays_.start(exchange, std::move(*bodies), std::move(route), std::move(observer));
}

void SidecarThread::refuse(HttpExchange& exchange, const ApiError& error) {
  probe().on_refused(error.status, error.message);
  exchange.respond(error.status, leg_error_fields(error), error_body(error));
}

HttpHandler::Refusal SidecarThread::on_refused(int status, std::string_view reason) {
  probe().on_refused(status, reason);
  const ApiError error =
      status == 400 ? not_http_error() : leg_error(status, "BadRequestError", reason);
  return {leg_error_fields(error), error_body(error)};
}

}  // namespace kvasir

#include "legs/legs_relays.h"

#include <utility>

#include "base/integer_text.h"
#include "legs/legs_relay.h"

namespace kvasir {

std::string request_id_of(const HttpHead& request, Random& random) {
  const auto given = request.find("x-request-id");
  return given && !given->empty() ? std::string(*given) : hexadecimal(random.next());
}

LegsRelays::LegsRelays(EventLoop& loop, WorkerClients& clients, Random& random,
                       const Options& options)
    : loop_(loop), clients_(clients), random_(random), options_(options) {}

LegsRelays::~LegsRelays() {
  for (LegsRelay* relay : relays_) delete relay;
  for (ReleaseCall* call : releases_) delete call;
}

LegsRelay& LegsRelays::add(HttpExchange& exchange, LegsRoute route,
                           std::unique_ptr<LegsObserver> observer) {
  auto* relay = new LegsRelay(*this, exchange, std::move(route), std::move(observer));
  relays_.insert(relay);
  return *relay;
}

void LegsRelays::start(HttpExchange& exchange, LegsRoute route,
                       std::unique_ptr<LegsObserver> observer, std::optional<std::string> body) {
  add(exchange, std::move(route), std::move(observer)).start(std::move(body));
}

void LegsRelays::start(HttpExchange& exchange, LegBodies bodies, LegsRoute route,
                       std::unique_ptr<LegsObserver> observer) {
  add(exchange, std::move(route), std::move(observer)).start(std::move(bodies));
}

void LegsRelays::remove(LegsRelay& relay) {
  relays_.erase(&relay);
  delete &relay;
}

void LegsRelays::release(LegWorker decoder, std::string head, std::string body) {
  releases_.insert(new ReleaseCall(*this, std::move(decoder), std::move(head), std::move(body)));
}

void LegsRelays::remove(ReleaseCall& call) {
  releases_.erase(&call);
  delete &call;
}

}  // namespace kvasir

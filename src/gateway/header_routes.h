// Requests that a header sends to an address of its own, and not to a worker of the pool: whoever
// answers there is no endpoint that is scheduled or checked. Private to gateway/.
//
// Lives on its loop's thread.
#pragma once

#include "gateway/gateway_options.h"
#include "legs/legs_relays.h"
#include "legs/worker_clients.h"

namespace kvasir {

class GatewayThread;
class HttpExchange;

class HeaderRoutes {
 public:
  // `thread` outlives it.
  explicit HeaderRoutes(GatewayThread& thread);

  // False: no route is for it.
  bool take(HttpExchange& exchange);

 private:
  const HeaderRoute* find(const HttpHead& head) const;

  GatewayThread& thread_;
  WorkerClients clients_;
  LegsRelays relays_;
};

}  // namespace kvasir

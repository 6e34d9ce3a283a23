#include "worker/health_server.h"

namespace kvasir {

void HealthServer::on_request(HttpExchange& exchange) {
  const std::string_view path = exchange.head().path();
  const bool known = path == "/health" || path == "/live";
  exchange.respond(known ? 200 : 404, "", "");
}

HttpHandler::Refusal HealthServer::on_refused(int, std::string_view) {
  return {};
}

}  // namespace kvasir

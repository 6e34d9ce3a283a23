// /health and /live on a port of their own, for probes that should not share the API's.
#pragma once

#include <cstdint>
#include <string_view>

#include "net/http/http_server.h"
#include "net/io/event_loop.h"

namespace kvasir {

class HealthServer final : private HttpHandler {
 public:
  // `loop` must outlive the server.
  HealthServer(EventLoop& loop, Descriptor listener) : server_(loop, std::move(listener), *this) {}

  uint16_t port() const { return server_.port(); }

 private:
  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;

  HttpServer server_;
};

}  // namespace kvasir

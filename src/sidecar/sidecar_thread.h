// One thread of the sidecar: its listener and its connections to the decoder and to prefill
// workers. Private to sidecar/.
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "base/random.h"
#include "legs/legs_relays.h"
#include "legs/worker_clients.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "sidecar/sidecar.h"
#include "vllm/api_error.h"

namespace kvasir {

class EventLoop;

class SidecarThread final : public HttpHandler {
 public:
  SidecarThread(Sidecar& sidecar, EventLoop& loop, Descriptor listener, uint32_t index);

  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;
  void drain(std::function<void()> drained) { server_.drain(std::move(drained)); }
  EventLoop& loop() { return loop_; }

 private:
  const SidecarOptions& options() const { return sidecar_.options(); }
  SidecarProbe& probe() { return sidecar_.probe(); }
  void refuse(HttpExchange& exchange, const ApiError& error);

  Sidecar& sidecar_;
  EventLoop& loop_;
  Random random_;
  std::shared_ptr<HttpClient> decoder_;
  WorkerClients prefillers_;
  LegsRelays relays_;
  HttpServer server_;
};

}  // namespace kvasir

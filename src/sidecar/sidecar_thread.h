// One thread of the sidecar: its listener and its connections to the decoder and to prefill
// workers. Private to sidecar/.
#pragma once

#include <functional>
#include <memory>
#include <unordered_set>

#include "base/random.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "sidecar/prefillers.h"
#include "sidecar/sidecar.h"
#include "vllm/api_error.h"

namespace kvasir {

class EventLoop;
class ReleaseCall;
class SidecarRelay;

class SidecarThread final : public HttpHandler {
 public:
  SidecarThread(Sidecar& sidecar, EventLoop& loop, Descriptor listener, uint32_t index);
  ~SidecarThread() override;

  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;
  void drain(std::function<void()> drained) { server_.drain(std::move(drained)); }
  EventLoop& loop() { return loop_; }

  // For the relays.
  const SidecarOptions& options() const { return sidecar_.options(); }
  SidecarProbe& probe() { return sidecar_.probe(); }
  HttpClient& decoder() { return decoder_; }
  Prefillers& prefillers() { return prefillers_; }
  Random& random() { return random_; }
  // It is over, and goes.
  void remove(SidecarRelay& relay);
  // Sends a decode leg that nobody waits for.
  void release(std::string head, std::string body);
  void remove(ReleaseCall& call);

 private:
  bool take_target(HttpExchange& exchange);
  void refuse(HttpExchange& exchange, const ApiError& error);

  Sidecar& sidecar_;
  EventLoop& loop_;
  Random random_;
  HttpClient decoder_;
  Prefillers prefillers_;
  HttpServer server_;
  std::unordered_set<SidecarRelay*> relays_;
  std::unordered_set<ReleaseCall*> releases_;
};

// The sidecar's own errors, in the shape of vLLM's. `type`: what programs tell them apart by.
ApiError sidecar_error(int status, std::string_view type, std::string_view message);
std::string sidecar_error_fields(const ApiError& error);

}  // namespace kvasir

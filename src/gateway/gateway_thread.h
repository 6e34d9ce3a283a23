// One thread of the gateway: its listener, its connections to every worker, and what it answers itself.
// Private to gateway/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "model/endpoint.h"
#include "model/request.h"
#include "net/http_client.h"
#include "net/http_server.h"
#include "wire/request_peek.h"

namespace kvasir {

class EventLoop;
class Gateway;
class Relay;

class GatewayThread final : public HttpHandler {
 public:
  GatewayThread(Gateway& gateway, EventLoop& loop, Descriptor listener, uint32_t index);
  ~GatewayThread() override;

  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;
  void drain(std::function<void()> drained) { server_.drain(std::move(drained)); }

  EventLoop& loop() { return loop_; }

 private:
  friend class Relay;

  void answer_health(HttpExchange& exchange);
  bool any_healthy() const;
  // Where a request that is no inference goes: healthy endpoints in turn.
  std::optional<EndpointId> next_in_turn(const std::vector<EndpointId>& tried);
  RequestId next_request_id() { return (++requests_ << 8) | index_; }

  Gateway& gateway_;
  EventLoop& loop_;
  const uint32_t index_;
  HttpServer server_;
  std::vector<std::unique_ptr<HttpClient>> clients_;  // one for each endpoint
  std::vector<std::string> hosts_;                    // HOST:PORT of each
  RequestPeeker peeker_;
  Random random_;
  std::unordered_set<Relay*> relays_;
  uint64_t requests_ = 0;
  uint32_t turn_ = 0;
};

// The body of an error answer in the shape of the OpenAI API as vLLM writes it, and its Content-Type line.
std::string error_body(int status, std::string_view message);
inline constexpr std::string_view kJsonType = "Content-Type: application/json\r\n";

}  // namespace kvasir

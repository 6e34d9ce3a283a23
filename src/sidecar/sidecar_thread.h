// One thread of the sidecar: its listener and its connections to the decoder and to prefill
// workers. Private to sidecar/.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/random.h"
#include "legs/bootstrap_clients.h"
#include "legs/legs_relays.h"
#include "legs/worker_clients.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "sidecar/candidate_check.h"
#include "sidecar/sidecar.h"
#include "vllm/api_error.h"
#include "wire/request/request_api.h"

namespace kvasir {

class EventLoop;
class OwnPage;

class SidecarThread final : public HttpHandler {
 public:
  struct Place {
    uint32_t rank = 0;   // data-parallel
    uint32_t index = 0;  // among the threads of the rank
  };
  SidecarThread(Sidecar& sidecar, EventLoop& loop, Descriptor listener, Place place);
  ~SidecarThread() override;

  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;
  void drain(std::function<void()> drained) { server_.drain(std::move(drained)); }
  EventLoop& loop() { return loop_; }
  size_t connections() const { return server_.connections(); }  // any thread

  // For the pages.
  const SidecarOptions& options() const { return sidecar_.options(); }
  std::string metrics_page(std::string_view engine_page) const {
    return sidecar_.metrics_page(engine_page);
  }
  void remove(OwnPage& page);

 private:
  SidecarProbe& probe() { return sidecar_.probe(); }
  bool answer_own_page(HttpExchange& exchange);
  HostPort decoder_address(uint32_t rank) const;
  Result<uint32_t> rank_of(const HttpHead& request) const;
  std::unique_ptr<LegsObserver> new_observer();
  void start_one_leg(HttpExchange& exchange, LegsRoute route);
  void start_two_legs(HttpExchange& exchange, RequestApi api, LegsRoute route);
  Result<void> name_workers(const HttpHead& request, LegsRoute& route);
  class Wait;
  void check_workers(HttpExchange& exchange, LegBodies bodies, LegsRoute route);
  void start_checked(HttpExchange& exchange, LegBodies bodies, LegsRoute route,
                     const CandidateCheck::Checked& checked);
  void start_relay(HttpExchange& exchange, LegBodies bodies, LegsRoute route);
  void block(HttpExchange& exchange, std::string_view worker);
  LegsRelays::Options relay_options();
  void refuse_body(HttpExchange& exchange, const Error& why);
  void refuse(HttpExchange& exchange, const ApiError& error);

  Sidecar& sidecar_;
  EventLoop& loop_;
  Random random_;
  const uint32_t rank_;
  std::vector<std::shared_ptr<HttpClient>> decoders_;  // by rank
  WorkerClients prefillers_;
  WorkerClients bootstrap_servers_;  // never over TLS
  BootstrapClients bootstrap_;
  LegsRelays relays_;
  HttpServer server_;
  std::unordered_set<OwnPage*> pages_;
  std::unordered_map<const Wait*, std::unique_ptr<Wait>> waits_;
};

}  // namespace kvasir

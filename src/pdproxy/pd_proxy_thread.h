// One thread of the proxy: its listener and its connections to workers. Private to pdproxy/.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/random.h"
#include "legs/legs_relays.h"
#include "legs/worker_clients.h"
#include "net/http/http_server.h"
#include "pdproxy/pd_proxy.h"
#include "vllm/api_error.h"
#include "wire/request/request_api.h"

namespace kvasir {

class EventLoop;
class PdRequest;
class PromptQuestion;
class RoomQuestion;
class WorkerPoll;

class PdProxyThread final : public HttpHandler {
 public:
  PdProxyThread(PdProxy& proxy, EventLoop& loop, Descriptor listener);
  ~PdProxyThread() override;

  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;
  void drain(std::function<void()> drained) { server_.drain(std::move(drained)); }
  EventLoop& loop() { return loop_; }

 private:
  // A page of ours that waits for workers.
  class PageRequest;
  struct Serving;

  const PdProxyOptions& options() const { return proxy_.options(); }
  PdProxyProbe& probe() { return proxy_.probe(); }
  bool has_rooms() const {
    return options().backend == PdBackend::kFs && options().fs_prompt_tokens_max > 0;
  }
  bool answer_itself(HttpExchange& exchange);
  void give_page(HttpExchange& exchange, bool metrics);
  void pass_on(HttpExchange& exchange);
  std::optional<ApiError> why_not_passed_on(const HttpHead& head) const;
  void count_first(HttpExchange& exchange, Serving serving, std::string question);
  // Decides who prefills, and waits for room there if there has to be some.
  void serve(HttpExchange& exchange, Serving serving);
  void wait_for_room(HttpExchange& exchange, Serving serving, const RoomWish& wish);
  void send(HttpExchange& exchange, Serving serving, RoomGrant grant);
  void serve_long(HttpExchange& exchange, Serving serving, std::string_view tokens);
  void refuse_body(HttpExchange& exchange, const Error& why);
  void refuse_without(P2pRole role, HttpExchange& exchange);
  void refuse(HttpExchange& exchange, const ApiError& error, std::string_view more_fields = {});
  std::string new_id();

  PdProxy& proxy_;
  EventLoop& loop_;
  Random random_;
  WorkerClients clients_;
  LegsRelays relays_;
  HttpServer server_;
  std::map<const PromptQuestion*, std::unique_ptr<PromptQuestion>> questions_;
  std::map<const RoomQuestion*, std::unique_ptr<RoomQuestion>> waiting_;
  std::map<const PageRequest*, std::unique_ptr<PageRequest>> pages_;
};

}  // namespace kvasir

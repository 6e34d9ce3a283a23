// The HTTP API of a KV-cache manager (docs/KV.md), on one EventLoop.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "kvmanager/answers.h"
#include "kvmanager/cache_manager.h"
#include "kvmanager/slow_answers.h"
#include "net/http/http_server.h"

namespace kvasir {

class EventLoop;

struct ManagerServerOptions {
  HttpServerLimits limits;
  std::function<std::string()> metrics_page;  // GET /metrics
  std::function<void(Duration)> scored;       // a question about a prompt was answered
  std::function<const PeerStates&()> peers;   // for the state
};

class ManagerServer final : private HttpHandler {
 public:
  // Serves on `listener`. `loop` must outlive it.
  ManagerServer(EventLoop& loop, Descriptor listener, std::shared_ptr<CacheManager> manager,
                ManagerServerOptions options);
  ~ManagerServer() override;
  ManagerServer(const ManagerServer&) = delete;
  ManagerServer& operator=(const ManagerServer&) = delete;

  uint16_t port() const { return server_.port(); }
  // Says 503 at /readyz; each answer ends its connection.
  void say_not_ready();
  // Says 503 at /readyz as long as it learns from others what they know.
  void set_learning(bool learning) { learning_ = learning; }
  // Stops accepting; `drained` is called when the requests under way are answered.
  void drain(std::function<void()> drained) { server_.drain(std::move(drained)); }

 private:
  using Handle = void (ManagerServer::*)(HttpExchange&);
  struct ManagerRoute {
    std::string_view path;
    std::string_view method;
    Handle handle;
  };
  static const ManagerRoute kRoutes[];

  void on_request(HttpExchange& exchange) override;
  Refusal on_refused(int status, std::string_view reason) override;

  void score(HttpExchange& exchange);
  void match(HttpExchange& exchange);
  void state(HttpExchange& exchange);
  void pods(HttpExchange& exchange);
  void digest(HttpExchange& exchange);
  void dump(HttpExchange& exchange);
  void health(HttpExchange& exchange);
  void readiness(HttpExchange& exchange);
  void metrics(HttpExchange& exchange);
  void pod(HttpExchange& exchange, std::string_view escaped_name);
  void answer_json(HttpExchange& exchange, int status, std::string_view json,
                   std::string_view more_fields = {});
  void refuse(HttpExchange& exchange, int status, std::string_view why,
              std::string_view more_fields = {});

  const std::shared_ptr<CacheManager> manager_;
  const ManagerServerOptions options_;
  const Clock& clock_;
  bool ready_ = true;
  bool learning_ = false;
  HttpServer server_;
  SlowAnswers slow_;  // last: it lets go of the server's exchanges
};

}  // namespace kvasir

#include "net/http/http_server.h"

#include <utility>
#include <vector>

#include "net/http/http1_connection.h"
#include "net/io/acceptor.h"

namespace kvasir {

HttpServer::HttpServer(EventLoop& loop, Descriptor listener, HttpHandler& handler,
                       HttpServerLimits limits, BodyBudget* bodies, const TlsContext* tls)
    : connections_(
          new Http1Connections{loop, handler, limits, bodies, tls, {}, false, false, nullptr}),
      acceptor_(std::make_unique<Acceptor>(
          loop, std::move(listener),
          [this] { return connections_->open.size() < connections_->limits.connections; },
          [this](Descriptor socket) {
            connections_->open.insert(new Http1Connection(*connections_, std::move(socket)));
            connections_->count.store(connections_->open.size(), std::memory_order_relaxed);
          })) {}

HttpServer::~HttpServer() {
  acceptor_.reset();
  for (Http1Connection* connection : connections_->open) delete connection;
}

uint16_t HttpServer::port() const { return local_port(acceptor_->listener()); }

size_t HttpServer::connections() const {
  return connections_->count.load(std::memory_order_relaxed);
}

void HttpServer::close_after_answers() {
  connections_->close_after_answers = true;
}

void HttpServer::drain(std::function<void()> drained) {
  close_after_answers();
  connections_->draining = true;
  connections_->drained = std::move(drained);
  acceptor_.reset();
  const std::vector<Http1Connection*> open(connections_->open.begin(), connections_->open.end());
  for (Http1Connection* connection : open) connection->close_if_idle();
  if (connections_->open.empty() && connections_->drained) {
    std::exchange(connections_->drained, nullptr)();
  }
}

}  // namespace kvasir

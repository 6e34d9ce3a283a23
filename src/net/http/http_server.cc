#include "net/http/http_server.h"

#include <utility>
#include <vector>

#include "net/http/http1_connection.h"
#include "net/http/http_connections.h"
#include "net/io/acceptor.h"

namespace kvasir {

void HttpConnections::add(HttpConnection& connection) {
  open.insert(&connection);
  count.store(open.size(), std::memory_order_relaxed);
}

void HttpConnections::remove(HttpConnection& connection) {
  open.erase(&connection);
  count.store(open.size(), std::memory_order_relaxed);
  loop.defer([doomed = &connection] { delete doomed; });
  if (draining && open.empty() && drained) {
    loop.defer([drained = std::exchange(drained, nullptr)] { drained(); });
  }
}

HttpServer::HttpServer(EventLoop& loop, Descriptor listener, HttpHandler& handler,
                       HttpServerLimits limits, BodyBudget* bodies, const TlsContext* tls)
    : connections_(new HttpConnections{loop, handler, limits, bodies, tls}),
      acceptor_(std::make_unique<Acceptor>(
          loop, std::move(listener),
          [this] { return connections_->open.size() < connections_->limits.connections; },
          [this](Descriptor socket) {
            connections_->add(*new Http1Connection(*connections_, std::move(socket)));
          })) {}

HttpServer::~HttpServer() {
  acceptor_.reset();
  for (HttpConnection* connection : connections_->open) delete connection;
}

uint16_t HttpServer::port() const { return local_port(acceptor_->listener()); }

size_t HttpServer::connections() const {
  return connections_->count.load(std::memory_order_relaxed);
}

void HttpServer::close_after_answers() {
  if (std::exchange(connections_->close_after_answers, true)) return;
  const std::vector<HttpConnection*> open(connections_->open.begin(), connections_->open.end());
  for (HttpConnection* connection : open) connection->ask_to_leave();
}

void HttpServer::drain(std::function<void()> drained) {
  close_after_answers();
  connections_->draining = true;
  connections_->drained = std::move(drained);
  acceptor_.reset();
  const std::vector<HttpConnection*> open(connections_->open.begin(), connections_->open.end());
  for (HttpConnection* connection : open) connection->close_when_idle();
  if (connections_->open.empty() && connections_->drained) {
    std::exchange(connections_->drained, nullptr)();
  }
}

}  // namespace kvasir

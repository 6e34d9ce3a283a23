#include "net/grpc/grpc_server.h"

#include <utility>

#include "net/grpc/grpc_connection.h"
#include "net/io/acceptor.h"
#include "net/io/event_loop.h"

namespace kvasir {

GrpcServer::GrpcServer(EventLoop& loop, Descriptor listener, std::vector<GrpcRoute> routes,
                       GrpcServerLimits limits, const TlsContext* tls)
    : loop_(loop),
      routes_(std::move(routes)),
      limits_(limits),
      tls_(tls),
      port_(local_port(listener)) {
  acceptor_ = std::make_unique<Acceptor>(
      loop_, std::move(listener), [this] { return connections_.size() < limits_.connections; },
      [this](Descriptor socket) {
        connections_.insert(new GrpcConnection(*this, std::move(socket)));
      });
}

GrpcServer::~GrpcServer() {
  acceptor_.reset();
  drained_ = nullptr;
  const std::vector<GrpcConnection*> open(connections_.begin(), connections_.end());
  for (GrpcConnection* connection : open) connection->close_now();
}

uint16_t GrpcServer::port() const { return port_; }

GrpcService* GrpcServer::find(std::string_view path) const {
  for (const GrpcRoute& route : routes_) {
    if (route.path == path) return route.service;
  }
  return nullptr;
}

void GrpcServer::drain(std::function<void()> drained) {
  draining_ = true;
  drained_ = std::move(drained);
  acceptor_.reset();
  const std::vector<GrpcConnection*> open(connections_.begin(), connections_.end());
  for (GrpcConnection* connection : open) connection->start_drain();
  if (connections_.empty() && drained_) std::exchange(drained_, nullptr)();
}

void GrpcServer::remove(GrpcConnection& connection) {
  connections_.erase(&connection);
  loop_.defer([doomed = &connection] { delete doomed; });
  if (draining_ && connections_.empty() && drained_) {
    loop_.defer([drained = std::exchange(drained_, nullptr)] { drained(); });
  }
}

}  // namespace kvasir

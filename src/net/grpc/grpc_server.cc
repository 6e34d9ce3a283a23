#include "net/grpc/grpc_server.h"

#include <utility>

#include "net/grpc/grpc_connection.h"
#include "net/io/acceptor.h"

namespace kvasir {

GrpcServer::GrpcServer(EventLoop& loop, Descriptor listener, std::vector<GrpcRoute> routes,
                       GrpcServerLimits limits, const TlsContext* tls)
    : connections_(new GrpcConnections{loop, limits, std::move(routes)}),
      port_(local_port(listener)),
      acceptor_(std::make_unique<Acceptor>(
          loop, std::move(listener),
          [this] { return connections() < connections_->limits.connections; },
          [this, tls](Descriptor socket) {
            connections_->open.insert(new GrpcConnection(*connections_, std::move(socket), tls));
          })) {}

GrpcServer::~GrpcServer() {
  acceptor_.reset();
  connections_->drained = nullptr;
  const auto open = connections_->open;
  for (GrpcConnection* connection : open) connection->close_now("the server ends");
}

uint16_t GrpcServer::port() const {
  return port_;
}

size_t GrpcServer::connections() const {
  return connections_->open.size();
}

void GrpcServer::drain(std::function<void()> drained) {
  connections_->draining = true;
  connections_->drained = std::move(drained);
  acceptor_.reset();
  const auto open = connections_->open;
  for (GrpcConnection* connection : open) connection->start_drain();
  if (connections_->open.empty() && connections_->drained) {
    std::exchange(connections_->drained, nullptr)();
  }
}

}  // namespace kvasir

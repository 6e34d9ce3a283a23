#include "net/grpc/grpc_client.h"

#include <utility>

#include "net/grpc/grpc_client_connection.h"
#include "net/io/event_loop.h"

namespace kvasir {

GrpcClient::GrpcClient(EventLoop& loop, const SocketAddress& address, std::string authority,
                       GrpcClientLimits limits, TlsPeer peer)
    : loop_(loop),
      address_(address),
      authority_(std::move(authority)),
      limits_(limits),
      peer_(std::move(peer)) {}

GrpcClient::~GrpcClient() {
  for (GrpcClientConnection* connection : connections_) {
    connection->abandon();
    delete connection;
  }
}

GrpcClientCall& GrpcClient::start(std::string_view path, GrpcClientCall::Observer& observer,
                                  Duration timeout, const std::vector<Field>& fields) {
  if (current_ == nullptr || !current_->takes_calls()) {
    current_ = new GrpcClientConnection(*this);
    connections_.insert(current_);
  }
  return current_->start(path, observer, timeout, fields);
}

// The connection is destroyed at the end of the loop's iteration, by which its calls have heard of
// the end.
void GrpcClient::remove(GrpcClientConnection& connection) {
  connections_.erase(&connection);
  if (current_ == &connection) current_ = nullptr;
  loop_.defer([doomed = &connection] { delete doomed; });
}

}  // namespace kvasir

#include "net/grpc/grpc_client.h"

#include <utility>

#include "net/grpc/grpc_client_stream.h"
#include "net/grpc/grpc_connection.h"

namespace kvasir {
namespace {

GrpcServerLimits shared_limits(const GrpcLimits& limits) {
  GrpcServerLimits shared;
  static_cast<GrpcLimits&>(shared) = limits;
  return shared;
}

}  // namespace

GrpcClient::GrpcClient(EventLoop& loop, const SocketAddress& address, std::string authority,
                       GrpcClientLimits limits, TlsPeer peer)
    : target_(new GrpcTarget{address, std::move(authority), std::move(peer), limits.connect_timeout,
                             limits.unacknowledged_timeout}),
      connections_(new GrpcConnections{loop, shared_limits(limits), {}}),
      calls_max_(limits.calls) {}

GrpcClient::~GrpcClient() {
  const auto open = connections_->open;
  for (GrpcConnection* connection : open) connection->abandon();
}

size_t GrpcClient::connections() const {
  return connections_->open.size();
}

GrpcClientCall& GrpcClient::start(std::string_view path, GrpcClientCall::Observer& observer,
                                  Duration timeout, const std::vector<Field>& fields) {
  GrpcConnection*& connection = connections_->current;
  if (connection == nullptr || !connection->takes_calls()) {
    connection = new GrpcConnection(*connections_, *target_);
    connections_->open.insert(connection);
  }
  auto stream = std::make_unique<GrpcClientStream>(*connection, observer);
  GrpcClientStream& call = *stream;
  if (connection->calls() >= calls_max_) {
    refuse(std::move(stream), GrpcCode::kResourceExhausted, "too many calls at once");
    return call;
  }
  std::vector<Http2Field> head = {
      {":method", "POST"}, {":scheme", connection->encrypted() ? "https" : "http"},
      {":path", path},     {":authority", target_->authority},
      {"te", "trailers"},  {"content-type", "application/grpc"}};
  for (const Field& field : fields) head.push_back({field.name, field.value});
  std::unique_ptr<Http2Stream> owned = std::move(stream);
  const std::optional<int32_t> id = connection->session().request(head, owned);
  if (!id) {
    stream.reset(static_cast<GrpcClientStream*>(owned.release()));
    refuse(std::move(stream), GrpcCode::kUnavailable, "the connection takes no more calls");
    return call;
  }
  call.set_id(*id);
  call.start_deadline(timeout);
  connection->schedule_write();
  return call;
}

// Nothing is heard before start() has returned.
void GrpcClient::refuse(std::shared_ptr<GrpcClientStream> stream, GrpcCode code,
                        const char* message) {
  connections_->loop.defer(lifeline_.guard([stream = std::move(stream), code, message] {
    stream->end({static_cast<uint32_t>(code), message, false});
  }));
}

}  // namespace kvasir

// A gRPC client on one EventLoop: one connection (HTTP/2 over TLS or, with prior knowledge,
// without), many calls, unary and streaming, uncompressed messages. Connects when the first call
// starts, and again for the first call after the connection was lost or the server said GOAWAY; it
// never sends a call twice.
//
// All calls happen on the loop's thread. What is sent while one event is handled goes out together,
// at the end of the loop's iteration. For a unary call: send(), half_close(), and take the one
// on_message().
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lifeline.h"
#include "net/grpc/grpc_limits.h"
#include "net/io/socket.h"
#include "net/io/tls_context.h"

namespace kvasir {

class EventLoop;
struct GrpcConnections;
struct GrpcTarget;

struct GrpcClientLimits : GrpcLimits {
  Duration connect_timeout = std::chrono::seconds(5);  // with the TLS handshake
  // Sent and not acknowledged by the other machine; then the connection is lost. Zero: as long as
  // the system tries.
  std::chrono::milliseconds unacknowledged_timeout{0};
  size_t calls = 16384;  // at once; beyond: RESOURCE_EXHAUSTED
};

// How a call ended.
struct GrpcStatus {
  uint32_t code = 0;         // GrpcCode, or another number that the server sent
  std::string message;       // for people
  bool from_server = false;  // the server's own trailers said so
  bool ok() const { return code == 0; }
};

// One call. Valid from GrpcClient::start() until Observer::on_end() or cancel().
class GrpcClientCall {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    // `message` is valid during the call only.
    virtual void on_message(std::string_view message) = 0;
    // The last that is heard. Not called after cancel().
    virtual void on_end(const GrpcStatus& status) = 0;
    // unsent_bytes() came back to 0.
    virtual void on_drained() {}
  };

  // One message, given in up to two parts so that a payload need not be copied behind its head
  // first.
  virtual void send(std::string_view first, std::string_view second = {}) = 0;
  // Nothing more will be sent.
  virtual void half_close() = 0;
  // Resets the call.
  virtual void cancel() = 0;
  virtual size_t unsent_bytes() const = 0;

 protected:
  ~GrpcClientCall() = default;
};

class GrpcClient {
 public:
  // `authority` is what the server is called: HOST:PORT. `loop` must outlive the client. With a
  // `peer` that has a context, connections are encrypted.
  GrpcClient(EventLoop& loop, const SocketAddress& address, std::string authority,
             GrpcClientLimits limits = {}, TlsPeer peer = {});
  // Cancels the calls under way. Not from inside an observer.
  ~GrpcClient();
  GrpcClient(const GrpcClient&) = delete;
  GrpcClient& operator=(const GrpcClient&) = delete;

  // A field sent with a call, its name in lower case.
  struct Field {
    std::string_view name;
    std::string_view value;
  };

  // Begins a call of "/package.Service/Method". `timeout`: for the whole call, then
  // DEADLINE_EXCEEDED; Duration::zero(): none. `observer` must outlive the call; it hears nothing
  // before start() returned.
  GrpcClientCall& start(std::string_view path, GrpcClientCall::Observer& observer, Duration timeout,
                        const std::vector<Field>& fields = {});

  // Those that are connecting or connected, and those that GOAWAY lets finish their calls.
  size_t connections() const;

 private:
  void refuse(std::shared_ptr<class GrpcClientStream> stream, GrpcCode code, const char* message);

  const std::unique_ptr<const GrpcTarget> target_;
  const std::unique_ptr<GrpcConnections> connections_;
  const size_t calls_max_;
  Lifeline lifeline_;
};

}  // namespace kvasir

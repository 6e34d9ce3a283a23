// A gRPC server on one EventLoop: HTTP/2 over TLS or, with prior knowledge, without; uncompressed messages,
// unary and streaming calls. Limits on everything a client can make large, slow or many.
//
// All calls happen on the loop's thread. What is sent while one event is handled goes out together, at
// the end of the loop's iteration.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "net/grpc/grpc_limits.h"
#include "net/io/socket.h"

namespace kvasir {

class Acceptor;
class EventLoop;
struct GrpcConnections;
class TlsContext;

struct GrpcServerLimits : GrpcLimits {
  size_t connections = 4096;            // beyond: not accepted until one closes
  uint32_t concurrent_streams = 16384;  // of a connection; beyond: refused by HTTP/2
  // Envoy ends every ext_proc stream with RST_STREAM, so a low rate would cut healthy connections.
  uint64_t resets_per_second = 1'000'000;
  Duration preface_timeout = std::chrono::seconds(20);     // to the first byte
  Duration handshake_timeout = std::chrono::seconds(10);   // of TLS, from the connection's start
  Duration idle_timeout = std::chrono::hours(1);           // without a call; then GOAWAY
  Duration ping_interval = std::chrono::seconds(60);       // silent with calls open; then a PING
  Duration ping_timeout = std::chrono::seconds(20);        // for any byte after it; then cut
  Duration write_timeout = std::chrono::seconds(60);       // output that is not read; then cut
  Duration drain_notice = std::chrono::milliseconds(500);  // from the warning to the final GOAWAY
};

// One call. Lives from GrpcService::on_call() until finish() was called or Observer::on_gone() was; do
// not touch it after.
class GrpcCall {
 public:
  class Observer {
   public:
    virtual ~Observer() = default;
    // `message` is valid during the call only.
    virtual void on_message(std::string_view message) = 0;
    // The client will send no more.
    virtual void on_half_close() = 0;
    // The client reset the call or its connection broke, or a limit ended it.
    virtual void on_gone() = 0;
    // unsent_bytes() came back to 0.
    virtual void on_drained() {}
  };

  // What the client is told about the call comes to `observer`, which must outlive it. To be set in
  // on_call(), unless the call is finished there.
  virtual void set_observer(Observer& observer) = 0;

  virtual std::string_view path() const = 0;
  // The first request field of that (lower-case) name.
  virtual std::optional<std::string_view> metadata(std::string_view name) const = 0;

  // One message, given in up to two parts so that a payload need not be copied behind its head.
  virtual void send(std::string_view first, std::string_view second = {}) = 0;
  // Ends the call; `message` is for people. The observer hears nothing more.
  virtual void finish(GrpcCode code, std::string_view message = {}) = 0;

  // Output that the client has not taken yet.
  virtual size_t unsent_bytes() const = 0;

 protected:
  ~GrpcCall() = default;
};

class GrpcService {
 public:
  virtual ~GrpcService() = default;
  virtual void on_call(GrpcCall& call) = 0;
};

// Where calls of one method go; path is "/package.Service/Method".
struct GrpcRoute {
  std::string path;
  GrpcService* service;
};

class GrpcServer {
 public:
  // Takes over the listening socket. `loop` and the services must outlive the server. A path that is
  // not listed is answered with UNIMPLEMENTED. With `tls`, which must outlive the server, every connection is
  // encrypted, each with what the context holds when it begins.
  GrpcServer(EventLoop& loop, Descriptor listener, std::vector<GrpcRoute> routes,
             GrpcServerLimits limits = {}, const TlsContext* tls = nullptr);
  ~GrpcServer();
  GrpcServer(const GrpcServer&) = delete;
  GrpcServer& operator=(const GrpcServer&) = delete;

  uint16_t port() const;
  size_t connections() const;

  // Stops accepting and tells every client to open no more calls (GOAWAY); running ones go on. Calls
  // `drained` when no connection is left.
  void drain(std::function<void()> drained);

 private:
  const std::unique_ptr<GrpcConnections> connections_;
  const uint16_t port_;
  std::unique_ptr<Acceptor> acceptor_;
};

}  // namespace kvasir

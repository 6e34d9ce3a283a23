// Tells a proxy every few seconds that this worker is there, as vLLM's engines do.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "net/io/event_loop.h"
#include "net/io/resolver.h"
#include "net/io/socket.h"
#include "net/zmq/zmq_socket.h"
#include "wire/kv_transfer/p2p_registration.h"

namespace kvasir {

struct P2pRegistrarOptions {
  HostPort proxy;  // without a host: none
  std::vector<P2pRole> roles;
  std::string http_address;
  std::string zmq_address;  // names the socket as well
  Duration interval = std::chrono::seconds(3);
};

class P2pRegistrar {
 public:
  // What is referred to outlives it.
  P2pRegistrar(EventLoop& loop, ZmqContext& context, Resolver& resolver,
               P2pRegistrarOptions options);
  ~P2pRegistrar();
  P2pRegistrar(const P2pRegistrar&) = delete;
  P2pRegistrar& operator=(const P2pRegistrar&) = delete;

 private:
  void tell();
  void connect(const SocketAddress& address);

  EventLoop& loop_;
  ZmqContext& context_;
  Resolver& resolver_;
  const P2pRegistrarOptions options_;
  std::unique_ptr<Resolver::LookUp> look_up_;
  std::unique_ptr<ZmqSocket> dealer_;  // null: the proxy's address is not known
  TimerId next_ = kNoTimer;
};

}  // namespace kvasir

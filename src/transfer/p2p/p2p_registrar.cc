#include "transfer/p2p/p2p_registrar.h"

#include <utility>

#include "transfer/p2p/p2p_peer.h"

namespace kvasir {

P2pRegistrar::P2pRegistrar(EventLoop& loop, ZmqContext& context, Resolver& resolver,
                           P2pRegistrarOptions options)
    : loop_(loop), context_(context), resolver_(resolver), options_(std::move(options)) {
  next_ = loop_.after(Duration::zero(), [this] { tell(); });
}

P2pRegistrar::~P2pRegistrar() {
  loop_.cancel(next_);
}

void P2pRegistrar::tell() {
  next_ = loop_.after(options_.interval, [this] { tell(); });
  if (dealer_ == nullptr && look_up_ == nullptr) {
    look_up_ = resolver_.look_up(loop_, options_.proxy.host,
                                 [this](const Result<Resolver::Addresses>& found) {
                                   const auto done = std::move(look_up_);
                                   if (found && !found->empty()) connect(preferred_address(*found));
                                 });
  }
  if (dealer_ == nullptr) return;
  for (const P2pRole role : options_.roles) {
    const std::string message =
        write_p2p_registration({role, options_.http_address, options_.zmq_address});
    const std::string_view frame = message;
    dealer_->send(std::span(&frame, 1));  // where nobody listens it is dropped
  }
}

void P2pRegistrar::connect(const SocketAddress& address) {
  ZmqSocketOptions socket_options;
  socket_options.high_water_mark = 8;
  auto dealer = ZmqSocket::open(context_, ZMQ_DEALER, socket_options);
  if (!dealer) return;
  const std::string& name = options_.zmq_address;
  zmq_setsockopt((*dealer)->raw(), ZMQ_ROUTING_ID, name.data(), name.size());
  if (!(*dealer)->connect(zmq_endpoint(address, options_.proxy.port))) return;
  dealer_ = std::move(dealer).value();
  loop_.cancel(next_);
  tell();
}

}  // namespace kvasir

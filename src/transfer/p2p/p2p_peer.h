// Another worker, as the one who asks it sees it: its ZeroMQ socket, to which commands go, answered
// in order; and a TCP connection for tensors, in both directions. Both are made when somebody asks,
// and again after a failure.
//
// Lives on the loop's thread.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <string>

#include "net/io/event_loop.h"
#include "net/io/resolver.h"
#include "net/zmq/zmq_socket.h"
#include "transfer/p2p/p2p_frames.h"
#include "transfer/p2p/p2p_link.h"
#include "wire/kv_transfer/p2p_request_id.h"

namespace kvasir {

std::string zmq_endpoint(const SocketAddress& address, uint16_t port);

class P2pPeer final : private P2pLink::Owner {
 public:
  // nullptr: there is no answer, and none comes.
  using OnReply = std::function<void(const std::string* reply)>;

  // `on_refused`: it is of another model, layout or version, or speaks NCCL.
  P2pPeer(EventLoop& loop, ZmqContext& context, Resolver& resolver, P2pAddress address,
          uint64_t fingerprint, P2pArrivals& arrivals, std::function<void()> on_refused);
  ~P2pPeer() override;

  // Sends a command as soon as both connections are there. `on_reply` comes once, in a later turn.
  void ask(std::string message, OnReply on_reply);
  // Precondition: within an `on_reply` that has a reply.
  void send(P2pLink::Frame frame) { link_->send(std::move(frame)); }
  P2pFrames& frames() { return frames_; }

  // Whatever is under way fails.
  void reset();
  // Nothing is under way.
  bool idle() const {
    return backlog_.empty() && awaiting_.empty() && frames_.size() == 0 &&
           (link_ == nullptr || !link_->sending());
  }

 private:
  struct Ask {
    std::string message;
    OnReply on_reply;
  };

  void begin();
  void connect(const SocketAddress& address);
  void on_message(ZmqFrames frames);
  void on_greeted(const std::string& reply);
  void submit(Ask ask);
  void lost();
  void fail_later();
  void end(std::deque<Ask> asks);

  bool on_hello(P2pLink&, const std::string&) override { return false; }
  std::span<std::byte> on_frame(P2pLink& link, uint64_t number, uint64_t bytes) override;
  void on_frame_end(P2pLink& link, uint64_t number, bool sound) override;
  void on_cut(P2pLink&) override { lost(); }

  EventLoop& loop_;
  ZmqContext& context_;
  Resolver& resolver_;
  const P2pAddress address_;
  const uint64_t fingerprint_;
  const std::function<void()> on_refused_;
  P2pFrames frames_;
  std::unique_ptr<Resolver::LookUp> look_up_;
  SocketAddress where_{};
  std::unique_ptr<ZmqSocket> dealer_;  // null: nothing has begun
  std::unique_ptr<ZmqMonitor> monitor_;
  std::unique_ptr<P2pLink> link_;
  bool ready_ = false;
  uint64_t round_ = 0;        // of connections: counts their ends
  std::deque<Ask> backlog_;   // until it is ready
  std::deque<Ask> awaiting_;  // their answers
  Lifeline lifeline_;
};

}  // namespace kvasir

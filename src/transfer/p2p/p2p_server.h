// What a worker answers to the others who ask it: a ZeroMQ socket for their commands, a TCP port
// for their tensors. Each of them has a session, which ends with its TCP connection.
//
// Lives on the loop's thread.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/random.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "net/zmq/zmq_socket.h"
#include "transfer/p2p/p2p_frames.h"
#include "transfer/p2p/p2p_link.h"
#include "wire/kv_transfer/p2p_messages.h"

namespace kvasir {

struct P2pServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  // of the ZeroMQ socket; 0: a free one
  size_t sessions_max = 1024;
  size_t strangers_max = 64;  // connections that have not said who they are
  size_t frames_max = 4096;   // announced on one connection and not there yet
  Duration greeting_patience = std::chrono::seconds(5);
};

class P2pServer final : private P2pLink::Owner, private IoHandler {
 public:
  class Owner {
   public:
    virtual ~Owner() = default;
    // Who asks for these blocks gets them over `link`. What is answered.
    virtual uint64_t on_get(P2pLink& link, const P2pTensorId& blocks,
                            const P2pCommand& command) = 0;
    virtual void on_drop(const std::string& key) = 0;
    virtual void on_refused(const std::string& why) = 0;
  };

  static Result<std::unique_ptr<P2pServer>> open(EventLoop& loop, ZmqContext& context,
                                                 const P2pServerOptions& options,
                                                 uint64_t fingerprint, const KvLayout& layout,
                                                 P2pArrivals& arrivals, Owner& owner);
  ~P2pServer() override;

  uint16_t port() const { return port_; }
  size_t sessions() const { return sessions_.size(); }

 private:
  struct Session {
    std::string token;
    std::unique_ptr<P2pLink> link;  // null: it has yet to connect
    P2pFrames frames;
    TimePoint began{};
  };

  P2pServer(EventLoop& loop, const P2pServerOptions& options, uint64_t fingerprint,
            const KvLayout& layout, P2pArrivals& arrivals, Owner& owner);
  void on_message(ZmqFrames frames);
  std::string answer(const std::string& peer, std::string_view message);
  std::string greet(const std::string& peer, const P2pCommand& command);
  std::string take_put(const std::string& peer, const P2pCommand& command);
  bool take_drop(const std::string& peer, const P2pCommand& command);
  uint64_t take_get(const std::string& peer, const P2pCommand& command);
  Session* session_of(const P2pLink& link);
  void sweep();
  void bury(std::unique_ptr<P2pLink> link);

  void on_io(uint32_t events) override;  // of the listener
  bool on_hello(P2pLink& link, const std::string& token) override;
  std::span<std::byte> on_frame(P2pLink& link, uint64_t number, uint64_t bytes) override;
  void on_frame_end(P2pLink& link, uint64_t number, bool sound) override;
  void on_cut(P2pLink& link) override;

  EventLoop& loop_;
  const P2pServerOptions options_;
  const uint64_t fingerprint_;
  const KvLayout layout_;
  P2pArrivals& arrivals_;
  Owner& owner_;
  std::unique_ptr<ZmqSocket> router_;
  uint16_t port_ = 0;
  Descriptor listener_;
  std::map<std::string, std::unique_ptr<Session>> sessions_;  // by ZeroMQ's name of the peer
  std::map<P2pLink*, std::pair<std::unique_ptr<P2pLink>, TimePoint>> strangers_;
  TimerId sweep_ = kNoTimer;
};

}  // namespace kvasir

// A TCP connection that carries tensors between two workers, in both directions. What is to come
// was said before over ZeroMQ, so a frame has but its number, its length and a checksum:
//
//   "KVASIRP2" and the token of the NEW's answer (16 bytes), once, from the side that connects
//   number, bytes, checksum (8 bytes each, little-endian), then the bytes; any number of times
//
// Lives on one loop's thread.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "transfer/kv_fingerprint.h"

namespace kvasir {

class P2pLink final : private IoHandler {
 public:
  static constexpr size_t kTokenBytes = 16;
  static constexpr size_t kHelloBytes = 8 + kTokenBytes;
  static constexpr size_t kFrameHeadBytes = 24;

  class Owner {
   public:
    virtual ~Owner() = default;
    // The other side has said who it is. False: nobody is expected by that token.
    virtual bool on_hello(P2pLink& link, const std::string& token) = 0;
    // Where frame `number` of `bytes` bytes goes, until on_frame_end() or on_cut(). Empty: it was
    // not announced, and the connection is cut.
    virtual std::span<std::byte> on_frame(P2pLink& link, uint64_t number, uint64_t bytes) = 0;
    virtual void on_frame_end(P2pLink& link, uint64_t number, bool sound) = 0;
    // The connection is over; the owner may destroy it in a later turn.
    virtual void on_cut(P2pLink& link) = 0;
  };

  // What is sent: `pieces` one after another, which stay as they are until `done`, which is told
  // whether all are with the system now.
  struct Frame {
    uint64_t number = 0;
    std::vector<std::span<const std::byte>> pieces;
    std::function<void(bool sent)> done;
    std::vector<std::byte> own = {};  // what `pieces` view, unless it is somebody else's
  };

  // Of the side that listens: a hello comes first.
  P2pLink(EventLoop& loop, Descriptor socket, Owner& owner);
  // Of the side that connects: starts to.
  P2pLink(EventLoop& loop, const SocketAddress& address, const std::string& token, Owner& owner);
  // Frames under way are not told of.
  ~P2pLink() override;
  P2pLink(const P2pLink&) = delete;
  P2pLink& operator=(const P2pLink&) = delete;

  void send(Frame frame);
  // Ends it, if it is not over: frames are told that they failed, then on_cut().
  void cut();
  bool over() const { return !socket_.open(); }
  bool sending() const { return !outgoing_.empty(); }

 private:
  struct Outgoing {
    Frame frame;
    std::vector<std::span<const std::byte>> rest;  // of head and pieces
    std::array<std::byte, kFrameHeadBytes> head;
    size_t next = 0;     // of `rest`
    bool begun = false;  // the head is whole
  };

  void watch();
  void on_io(uint32_t events) override;
  bool read_some();
  bool on_read(size_t size);
  bool begin_frame();
  static void begin(Outgoing& frame);
  bool write_some();
  void advance(size_t written);

  EventLoop& loop_;
  Owner& owner_;
  Descriptor socket_;
  bool connecting_ = false;
  bool greeted_ = false;  // the hello has come, or there is none
  std::string hello_;     // that is yet to be sent
  uint32_t watched_ = 0;
  std::array<std::byte, kFrameHeadBytes> head_{};  // of what comes; the hello is as long
  size_t head_size_ = 0;
  uint64_t number_ = 0, checksum_ = 0;
  std::span<std::byte> rest_;  // of the frame that comes
  KvChecksum arrived_;         // of what has come of it
  std::deque<std::unique_ptr<Outgoing>> outgoing_;
};

}  // namespace kvasir

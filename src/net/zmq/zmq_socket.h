// Sockets of ZeroMQ on an EventLoop.
//
// ZeroMQ tells by a descriptor that something may have changed, once; so a socket is read until it
// has nothing, and goes on in the loop's next turn when a turn's share is used up before that.
//
// A context may be used by several threads; a socket lives on one. Sockets are not destroyed from
// within their own on_message().
#pragma once

#include <zmq.h>

#include <array>
#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/lifeline.h"
#include "base/result.h"
#include "net/io/event_loop.h"

namespace kvasir {

// Of one message.
using ZmqFrames = std::span<const std::string_view>;

class ZmqContext {
 public:
  // The error: libzmq is too old.
  static Result<std::unique_ptr<ZmqContext>> create(size_t sockets_max);
  // Its sockets must be gone.
  ~ZmqContext();
  ZmqContext(const ZmqContext&) = delete;
  ZmqContext& operator=(const ZmqContext&) = delete;

  void* raw() { return context_; }

 private:
  explicit ZmqContext(void* context) : context_(context) {}
  void* const context_;
};

struct ZmqSocketOptions {
  int high_water_mark = 1000;  // messages, of each direction; 0: no limit
  size_t message_bytes_max = size_t{16} << 20;
  size_t messages_per_turn = 64;
  Duration reconnect_first = std::chrono::milliseconds(100);
  Duration reconnect_max = std::chrono::seconds(5);
  Duration connect_timeout = std::chrono::seconds(5);
};

class ZmqSocket final : private IoHandler {
 public:
  // Frames beyond them make a message unreadable: it comes as one without frames.
  static constexpr size_t kFramesMax = 8;

  // `type`: ZMQ_SUB, ... Closing it drops what was not sent.
  static Result<std::unique_ptr<ZmqSocket>> open(ZmqContext& context, int type,
                                                 const ZmqSocketOptions& options);
  ~ZmqSocket() override;
  ZmqSocket(const ZmqSocket&) = delete;
  ZmqSocket& operator=(const ZmqSocket&) = delete;

  Result<void> subscribe(std::string_view topic);
  Result<void> connect(const std::string& address);
  Result<void> bind(const std::string& address);
  // Where it is bound: with the port that the system chose.
  std::string bound_address() const;
  // False: there is no room now, or nobody to send to.
  bool send(ZmqFrames frames);

  // From now on `on_message` is called with each message; its frames are valid during the call.
  // `loop` must outlive this.
  void listen(EventLoop& loop, std::function<void(ZmqFrames)> on_message);
  // Messages that are there now are told at once, up to a turn's share. Whether that was all of it:
  // then there may be more.
  bool turn();
  // Nothing is told any more.
  void deafen();
  // By which connection the message came that on_message is told of: its descriptor, as in
  // ZmqMonitor's events. Who closed it may be gone by now. -1: ZeroMQ does not say.
  int connection() const { return zmq_msg_get(&parts_.front(), ZMQ_SRCFD); }

  void* raw() { return socket_; }

 private:
  ZmqSocket(void* socket, size_t messages_per_turn);
  void on_io(uint32_t events) override;
  Result<void> set(int option, int64_t value);
  void turn_later();
  bool receive();
  void release();

  void* const socket_;
  const size_t messages_per_turn_;
  EventLoop* loop_ = nullptr;
  int descriptor_ = -1;
  std::function<void(ZmqFrames)> on_message_;
  bool turning_ = false;
  bool continued_ = false;  // a further turn was posted
  std::array<zmq_msg_t, kFramesMax> parts_;
  std::array<std::string_view, kFramesMax> frames_;
  size_t frame_count_ = 0;
  Lifeline lifeline_;
};

// What a socket's connections do: ZMQ_EVENT_* and its value.
class ZmqMonitor {
 public:
  using OnEvent = std::function<void(int event, int value)>;
  // `of` must outlive it.
  static Result<std::unique_ptr<ZmqMonitor>> open(ZmqContext& context, ZmqSocket& of, int events,
                                                  EventLoop& loop, OnEvent on_event);
  ~ZmqMonitor();
  ZmqMonitor(const ZmqMonitor&) = delete;
  ZmqMonitor& operator=(const ZmqMonitor&) = delete;

  // What happened until now is told at once.
  void turn() {
    while (socket_->turn()) {
    }
  }
  void deafen() { socket_->deafen(); }

 private:
  ZmqMonitor(ZmqSocket& of, std::unique_ptr<ZmqSocket> socket)
      : of_(of), socket_(std::move(socket)) {}

  ZmqSocket& of_;
  const std::unique_ptr<ZmqSocket> socket_;
};

}  // namespace kvasir

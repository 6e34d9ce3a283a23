// For tests: a subscriber to KV events, or a client of replays.
#pragma once

#include <gtest/gtest.h>
#include <zmq.h>

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace kvasir {

using Frames = std::vector<std::string>;

class ZmqPeer {
 public:
  static constexpr int kPatienceMs = 10'000;

  explicit ZmqPeer(int type) : ZmqPeer(type, std::shared_ptr<void>(zmq_ctx_new(), zmq_ctx_term)) {}
  // Its connections and the other's share a thread: what it sends leaves after what the other sent.
  ZmqPeer(int type, const ZmqPeer& other) : ZmqPeer(type, other.context_) {}
  ~ZmqPeer() { zmq_close(socket_); }
  ZmqPeer(const ZmqPeer&) = delete;
  ZmqPeer& operator=(const ZmqPeer&) = delete;

  void connect(const std::string& endpoint) {
    ASSERT_EQ(zmq_connect(socket_, endpoint.c_str()), 0) << endpoint;
  }
  // Where it is bound.
  std::string bind(const std::string& endpoint = "tcp://127.0.0.1:*") {
    EXPECT_EQ(zmq_bind(socket_, endpoint.c_str()), 0) << endpoint;
    char bound[256] = {};
    size_t size = sizeof bound;
    zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, bound, &size);
    return bound;
  }
  void send(const Frames& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      const int more = i + 1 < frames.size() ? ZMQ_SNDMORE : 0;
      ASSERT_GE(zmq_send(socket_, frames[i].data(), frames[i].size(), more), 0);
    }
  }
  // None: nothing came in time.
  Frames receive() {
    Frames frames;
    for (int more = 1; more != 0;) {
      zmq_msg_t message;
      zmq_msg_init(&message);
      if (zmq_msg_recv(&message, socket_, 0) < 0) return {};
      frames.emplace_back(static_cast<char*>(zmq_msg_data(&message)), zmq_msg_size(&message));
      more = zmq_msg_more(&message);
      zmq_msg_close(&message);
    }
    return frames;
  }
  // Whether something has come.
  bool has_message() {
    zmq_pollitem_t item{socket_, 0, ZMQ_POLLIN, 0};
    return zmq_poll(&item, 1, 0) > 0;
  }

  // Connects, and waits until the other side was found to speak ZeroMQ; a subscription is on its
  // way then.
  void connect_and_greet(const std::string& endpoint) {
    static constexpr const char* kMonitor = "inproc://greetings";
    ASSERT_EQ(zmq_socket_monitor(socket_, kMonitor, ZMQ_EVENT_HANDSHAKE_SUCCEEDED), 0);
    ZmqPeer monitor(ZMQ_PAIR, *this);
    monitor.connect(kMonitor);
    connect(endpoint);
    EXPECT_EQ(monitor.receive().size(), 2u);
    zmq_socket_monitor(socket_, nullptr, 0);
  }

 private:
  ZmqPeer(int type, std::shared_ptr<void> context)
      : context_(std::move(context)), socket_(zmq_socket(context_.get(), type)) {
    const int no_linger = 0;
    zmq_setsockopt(socket_, ZMQ_LINGER, &no_linger, sizeof no_linger);
    zmq_setsockopt(socket_, ZMQ_RCVTIMEO, &kPatienceMs, sizeof kPatienceMs);
    if (type == ZMQ_SUB) zmq_setsockopt(socket_, ZMQ_SUBSCRIBE, "", 0);
  }

  const std::shared_ptr<void> context_;
  void* const socket_;
};

}  // namespace kvasir

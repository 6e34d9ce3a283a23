#include "net/zmq/zmq_socket.h"

#include <gtest/gtest.h>

#include <array>
#include <thread>

namespace kvasir {
namespace {

// Answers each message of a DEALER, on a thread of its own, until one is empty.
void echo(void* router) {
  for (bool more = true; more;) {
    char peer[64], text[64];
    const int peer_size = zmq_recv(router, peer, sizeof peer, 0);
    const int size = zmq_recv(router, text, sizeof text, 0);
    more = size > 0;
    if (more) {
      zmq_send(router, peer, static_cast<size_t>(peer_size), ZMQ_SNDMORE);
      zmq_send(router, text, static_cast<size_t>(size), 0);
    }
  }
}

// ZeroMQ tells of a message once, and may do so to zmq_send(), which looks every millisecond or so.
TEST(ZmqSocket, AMessageThatComesWhileAnotherIsSentIsTold) {
  const auto context = ZmqContext::create(4).value();
  void* const router = zmq_socket(context->raw(), ZMQ_ROUTER);
  ASSERT_EQ(zmq_bind(router, "tcp://127.0.0.1:*"), 0);
  char address[64];
  size_t size = sizeof address;
  zmq_getsockopt(router, ZMQ_LAST_ENDPOINT, address, &size);
  std::thread peer(echo, router);

  const auto loop = EventLoop::create().value();
  auto dealer = ZmqSocket::open(*context, ZMQ_DEALER, {}).value();
  ASSERT_TRUE(dealer->connect(address).ok());
  const std::array<std::string_view, 1> question{"?"};
  const TimerId limit = loop->after(std::chrono::seconds(20), [&] { loop->stop(); });
  int answered = 0;
  dealer->listen(*loop, [&](ZmqFrames) {
    ++answered;
    if (answered == 1) {
      loop->after(Duration::zero(), [&] {
        EXPECT_TRUE(dealer->send(question));
        std::this_thread::sleep_for(std::chrono::milliseconds(20));  // its answer comes meanwhile
        EXPECT_TRUE(dealer->send(question));
      });
    }
    if (answered == 3) loop->stop();
  });
  EXPECT_TRUE(dealer->send(question));
  loop->run();
  EXPECT_EQ(answered, 3);
  loop->cancel(limit);
  const std::array<std::string_view, 1> end{std::string_view()};
  EXPECT_TRUE(dealer->send(end));
  peer.join();
  dealer.reset();
  zmq_close(router);
}

}  // namespace
}  // namespace kvasir

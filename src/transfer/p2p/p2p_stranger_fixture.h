// For tests: whoever speaks to a worker's P2P ports without being one. Waits for answers.
#pragma once

#include <gtest/gtest.h>
#include <poll.h>
#include <sys/socket.h>
#include <zmq.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "net/io/socket.h"
#include "transfer/kv_fingerprint.h"
#include "transfer/p2p/p2p_link.h"
#include "wire/kv_transfer/p2p_messages.h"

namespace kvasir {

class P2pStranger {
 public:
  static constexpr int kPatienceMs = 30'000;

  explicit P2pStranger(uint16_t port) : P2pStranger() {
    EXPECT_EQ(zmq_connect(socket_.get(), ("tcp://127.0.0.1:" + std::to_string(port)).c_str()), 0);
  }

  std::string ask(const std::string& message) {
    EXPECT_GE(zmq_send(socket_.get(), message.data(), message.size(), 0), 0);
    char answer[8192];
    const int size = zmq_recv(socket_.get(), answer, sizeof answer, 0);
    EXPECT_GE(size, 0) << "no answer to " << testing::PrintToString(message);
    return {answer, static_cast<size_t>(std::max(size, 0))};
  }
  P2pReply greet(uint64_t fingerprint) {
    P2pCommand command;
    command.unique_id = kP2pUniqueId;
    command.fingerprint = fingerprint;
    return read_p2p_reply(ask(write_p2p_command(command))).value();
  }
  // NEW, and the connection for data with it.
  void connect_data(uint64_t fingerprint) {
    const P2pReply reply = greet(fingerprint);
    ASSERT_EQ(reply.ret, P2pReply::kDone);
    connect_to(static_cast<uint16_t>(reply.port));
    send_data("KVASIRP2" + reply.token);
  }
  void connect_to(uint16_t port) {
    const auto address = resolve("127.0.0.1", port).value();
    data_ = Descriptor(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    timeval patience{kPatienceMs / 1000, 0};
    setsockopt(data_.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    ASSERT_EQ(
        ::connect(data_.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size),
        0);
  }
  void send_data(const std::string& bytes) {
    EXPECT_EQ(::send(data_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
  }
  static std::string frame(uint64_t number, const std::string& bytes) {
    std::string head;
    for (const uint64_t value :
         {number, uint64_t{bytes.size()}, kv_checksum(std::as_bytes(std::span(bytes)))}) {
      for (unsigned shift = 0; shift < 64; shift += 8) head += static_cast<char>(value >> shift);
    }
    return head + bytes;
  }
  // Whether the worker has closed the connection; waits for it.
  bool is_cut() {
    char byte;
    const ssize_t size = recv(data_.get(), &byte, 1, 0);
    return size == 0 || (size < 0 && errno == ECONNRESET);
  }
  void cut() { data_ = Descriptor(); }

 private:
  P2pStranger() : context_(zmq_ctx_new(), zmq_ctx_term) {
    socket_ = std::shared_ptr<void>(zmq_socket(context_.get(), ZMQ_DEALER), zmq_close);
    const int no_linger = 0;
    zmq_setsockopt(socket_.get(), ZMQ_LINGER, &no_linger, sizeof no_linger);
    zmq_setsockopt(socket_.get(), ZMQ_RCVTIMEO, &kPatienceMs, sizeof kPatienceMs);
  }

  const std::shared_ptr<void> context_;
  std::shared_ptr<void> socket_;
  Descriptor data_;
};

// A worker that is asked, and does what the test says. Its connections for data are never read.
class P2pPuppet {
 public:
  P2pPuppet() : context_(zmq_ctx_new(), zmq_ctx_term) {
    listener_ = listen_tcp("127.0.0.1", 0, false).value();
    open("*");
    char bound[64] = "";
    size_t size = sizeof bound;
    zmq_getsockopt(socket_.get(), ZMQ_LAST_ENDPOINT, bound, &size);
    port_ = parse_http_origin(std::string(bound).substr(6)).value().port;
  }
  uint16_t port() const { return port_; }

  // What comes next. A NEW is answered.
  P2pCommand next() {
    char frame[8192];
    const int name = zmq_recv(socket_.get(), frame, sizeof frame, 0);
    peer_.assign(frame, static_cast<size_t>(std::max(name, 0)));
    const int size = zmq_recv(socket_.get(), frame, sizeof frame, 0);
    EXPECT_GE(size, 0) << "nothing comes";
    if (size < 0) return {};
    const auto command = read_p2p_command({frame, static_cast<size_t>(size)});
    EXPECT_TRUE(command);
    if (!command) return {};
    if (command->kind == P2pCommand::Kind::kNew) {
      answer(write_p2p_reply({P2pReply::kDone, local_port(listener_), std::string(16, 't')}));
    }
    return *command;
  }
  void answer(const std::string& text) {
    EXPECT_GE(zmq_send(socket_.get(), peer_.data(), peer_.size(), ZMQ_SNDMORE), 0);
    EXPECT_GE(zmq_send(socket_.get(), text.data(), text.size(), 0), 0);
  }
  // Sends it to who connected first. Whether the connection is cut then; waits for it.
  bool data_is_refused(const std::string& bytes) {
    pollfd ready{listener_.get(), POLLIN, 0};
    EXPECT_EQ(poll(&ready, 1, P2pStranger::kPatienceMs), 1);
    const Descriptor data(accept(listener_.get(), nullptr, nullptr));
    timeval patience{P2pStranger::kPatienceMs / 1000, 0};
    setsockopt(data.get(), SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    EXPECT_EQ(::send(data.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(bytes.size()));
    char hello[P2pLink::kHelloBytes];
    EXPECT_EQ(recv(data.get(), hello, sizeof hello, MSG_WAITALL),
              static_cast<ssize_t>(sizeof hello));
    const ssize_t size = recv(data.get(), hello, 1, 0);
    return size == 0 || (size < 0 && errno == ECONNRESET);
  }
  // The connections for commands; those for data stay.
  void cut_commands() {
    socket_ = nullptr;
    open(std::to_string(port_));
  }

 private:
  void open(const std::string& port) {
    socket_ = std::shared_ptr<void>(zmq_socket(context_.get(), ZMQ_ROUTER), zmq_close);
    const int no_linger = 0;
    zmq_setsockopt(socket_.get(), ZMQ_LINGER, &no_linger, sizeof no_linger);
    zmq_setsockopt(socket_.get(), ZMQ_RCVTIMEO, &P2pStranger::kPatienceMs, sizeof(int));
    // The former one closes its port on a thread of ZeroMQ's.
    while (zmq_bind(socket_.get(), ("tcp://127.0.0.1:" + port).c_str()) != 0) {
      ASSERT_EQ(zmq_errno(), EADDRINUSE);
    }
  }

  const std::shared_ptr<void> context_;
  std::shared_ptr<void> socket_;
  Descriptor listener_;
  uint16_t port_ = 0;
  std::string peer_;
};

}  // namespace kvasir

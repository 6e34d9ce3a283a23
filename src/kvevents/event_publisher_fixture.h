// For tests: an engine's publisher as vLLM has it, with real sockets (PUB, and ROUTER for replays).
// Its batches are words (kvevents/source_tracker_fixture.h).
//
// One thread: replays are answered when the test says serve().
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>
#include <zmq.h>

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/assert.h"
#include "base/big_endian.h"
#include "kvevents/source_tracker_fixture.h"

namespace kvasir {

// Of an address whose publisher was closed: ZeroMQ closes sockets on its own thread, and for a
// moment they still take connections.
inline bool refuses_connections(const std::string& address) {
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  to.sin_port = htons(static_cast<uint16_t>(std::stoul(address.substr(address.rfind(':') + 1))));
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const bool refused = connect(descriptor, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0;
  ::close(descriptor);
  return refused;
}

class EventPublisher {
 public:
  // How it answers a request for a replay.
  enum class Replays { kAsNow, kWithoutTopic, kAsTheSimulator, kSilently, kWithoutEnd, kEndlessly };

  // `unsent_max`: live batches that wait for one subscriber; it loses more.
  explicit EventPublisher(const std::string& host = "127.0.0.1", int unsent_max = 1000)
      : host_(host), unsent_max_(unsent_max), context_(zmq_ctx_new()) {
    open();
  }
  ~EventPublisher() {
    close();
    zmq_ctx_term(context_);
  }
  EventPublisher(const EventPublisher&) = delete;
  EventPublisher& operator=(const EventPublisher&) = delete;

  std::string events() const { return events_; }
  std::string replay() const { return replay_; }
  const WordEngine& engine() const { return engine_; }
  void set_replays(Replays replays) { replays_ = replays; }
  void set_topic(const std::string& topic) { topic_ = topic; }
  size_t requests() const { return requests_; }

  void publish(const std::string& words) {
    const auto [number, batch] = engine_.publish(words);
    send({topic_, big_endian_bytes(number), batch});
  }
  // It is kept for replays, and that is all.
  void lose(const std::string& words) { engine_.publish(words); }
  // Any message to the subscribers.
  void send(const std::vector<std::string>& frames) { send_to(publisher_, frames); }

  // Its process ends, and another begins on the same ports.
  void restart() {
    close();
    engine_.restart();
    open();
  }
  // Its connections are lost; the process goes on.
  void drop_connections() {
    close();
    open();
  }
  void close() {
    for (void** socket : {&publisher_, &router_}) {
      if (*socket != nullptr) zmq_close(*socket);
      *socket = nullptr;
    }
  }
  void open() {
    publisher_ = bind(ZMQ_PUB, events_);
    router_ = bind(ZMQ_ROUTER, replay_);
  }

  // Answers the requests that are there.
  void serve() {
    while (router_ != nullptr) {
      const std::optional<std::vector<std::string>> request = receive(router_);
      if (!request) break;
      ++requests_;
      if (request->size() == 3) answer(request->front(), from_big_endian(request->back()));
    }
    // A little of it each time: it has no end.
    if (!endless_to_.empty()) {
      for (int i = 0; i < 100; ++i) {
        send_to(router_, {endless_to_, "", topic_, big_endian_bytes(endless_++), "0 +endless"});
      }
    }
  }

 private:
  void* bind(int type, std::string& address) {
    void* const socket = zmq_socket(context_, type);
    const int linger = 0;
    const int on = 1;
    const int unsent_max = type == ZMQ_PUB ? unsent_max_ : 0;  // of replays nothing is lost
    zmq_setsockopt(socket, ZMQ_SNDHWM, &unsent_max, sizeof unsent_max);
    zmq_setsockopt(socket, ZMQ_LINGER, &linger, sizeof linger);
    zmq_setsockopt(socket, ZMQ_IPV6, &on, sizeof on);
    const std::string wanted = address.empty() ? "tcp://" + host_ + ":*" : address;
    // Another process's connection may still hold the port for a moment.
    int done = -1;
    for (int tries = 0; tries < 10'000 && done != 0; ++tries) {
      done = zmq_bind(socket, wanted.c_str());
      if (done != 0) zmq_poll(nullptr, 0, 1);
    }
    KVASIR_ASSERT(done == 0, "the publisher of a test can listen");
    char bound[256];
    size_t size = sizeof bound;
    zmq_getsockopt(socket, ZMQ_LAST_ENDPOINT, bound, &size);
    address = bound;
    return socket;
  }
  static void send_to(void* socket, const std::vector<std::string>& frames) {
    for (size_t i = 0; i < frames.size(); ++i) {
      zmq_send(socket, frames[i].data(), frames[i].size(), i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    }
  }
  static std::optional<std::vector<std::string>> receive(void* socket) {
    std::vector<std::string> frames;
    int more = 1;
    for (size_t size = sizeof more; more != 0;) {
      char bytes[1024];
      const int length = zmq_recv(socket, bytes, sizeof bytes, ZMQ_DONTWAIT);
      if (length < 0) return std::nullopt;
      frames.emplace_back(bytes, static_cast<size_t>(length));
      zmq_getsockopt(socket, ZMQ_RCVMORE, &more, &size);
    }
    return frames;
  }
  void answer(const std::string& to, uint64_t from) {
    if (replays_ == Replays::kSilently) return;
    for (const auto& [number, batch] : engine_.kept_from(from)) {
      if (replays_ == Replays::kWithoutTopic) {
        send_to(router_, {to, "", big_endian_bytes(number), batch});
      } else {
        send_to(router_, {to, "", topic_, big_endian_bytes(number), batch});
      }
    }
    if (replays_ == Replays::kEndlessly) {
      endless_to_ = to;
      endless_ = std::max(endless_, engine_.next());
    } else if (replays_ == Replays::kAsTheSimulator) {
      send_to(router_, {to, "", "", big_endian_bytes(UINT64_MAX), ""});
    } else if (replays_ != Replays::kWithoutEnd) {
      send_to(router_, {to, "", big_endian_bytes(UINT64_MAX), ""});
    }
  }

  const std::string host_;
  const int unsent_max_;
  std::string topic_ = "kv@pod@model";
  WordEngine engine_;
  Replays replays_ = Replays::kAsNow;
  std::string events_;
  std::string replay_;
  size_t requests_ = 0;
  std::string endless_to_;
  uint64_t endless_ = 0;
  void* const context_;
  void* publisher_ = nullptr;
  void* router_ = nullptr;
};

}  // namespace kvasir

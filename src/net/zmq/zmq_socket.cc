#include "net/zmq/zmq_socket.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#if defined(__SANITIZE_THREAD__)
// ThreadSanitizer does not see how libzmq, which is not built with it, hands memory from one thread
// to another.
extern "C" const char* __tsan_default_suppressions() {
  return "race:libzmq.so\ncalled_from_lib:libzmq.so\n";
}
#endif

namespace kvasir {
namespace {

constexpr int kLeastVersion = 40'302;

Error zmq_error(const std::string& what) {
  return Error{what + ": " + zmq_strerror(zmq_errno())};
}

int milliseconds_of(Duration duration) {
  const auto count = std::chrono::duration_cast<std::chrono::milliseconds>(duration).count();
  return static_cast<int>(std::clamp<int64_t>(count, 1, INT32_MAX));
}

}  // namespace

Result<std::unique_ptr<ZmqContext>> ZmqContext::create(size_t sockets_max) {
  int major = 0, minor = 0, patch = 0;
  zmq_version(&major, &minor, &patch);
  if (major * 10'000 + minor * 100 + patch < kLeastVersion) {
    return Error{"libzmq " + std::to_string(major) + "." + std::to_string(minor) + "." +
                 std::to_string(patch) +
                 " is too old: 4.3.2 or newer is needed (CVE-2019-6250, CVE-2019-13132)"};
  }
  void* const context = zmq_ctx_new();
  if (context == nullptr) return zmq_error("ZeroMQ cannot start");
  std::unique_ptr<ZmqContext> made(new ZmqContext(context));
  const size_t most = static_cast<size_t>(zmq_ctx_get(context, ZMQ_SOCKET_LIMIT));
  const int sockets = static_cast<int>(std::min(sockets_max, most));
  if (zmq_ctx_set(context, ZMQ_MAX_SOCKETS, sockets) != 0) return zmq_error("ZMQ_MAX_SOCKETS");
  // Sockets that are still connecting do not keep the program.
  if (zmq_ctx_set(context, ZMQ_BLOCKY, 0) != 0) return zmq_error("ZMQ_BLOCKY");
  return made;
}

ZmqContext::~ZmqContext() {
  while (zmq_ctx_term(context_) != 0 && zmq_errno() == EINTR) {
  }
}

Result<std::unique_ptr<ZmqSocket>> ZmqSocket::open(ZmqContext& context, int type,
                                                   const ZmqSocketOptions& options) {
  void* const raw = zmq_socket(context.raw(), type);
  if (raw == nullptr) return zmq_error("no ZeroMQ socket can be had");
  std::unique_ptr<ZmqSocket> made(new ZmqSocket(raw, options.messages_per_turn));
  const std::pair<int, int64_t> settings[] = {
      {ZMQ_LINGER, 0},
      {ZMQ_IPV6, 1},
      {ZMQ_RCVHWM, options.high_water_mark},
      {ZMQ_SNDHWM, options.high_water_mark},
      {ZMQ_MAXMSGSIZE, static_cast<int64_t>(options.message_bytes_max)},
      {ZMQ_RECONNECT_IVL, milliseconds_of(options.reconnect_first)},
      {ZMQ_RECONNECT_IVL_MAX, milliseconds_of(options.reconnect_max)},
      {ZMQ_CONNECT_TIMEOUT, milliseconds_of(options.connect_timeout)},
      {ZMQ_HANDSHAKE_IVL, milliseconds_of(options.connect_timeout)},
      // A peer that vanished without a word is noticed within a minute or so.
      {ZMQ_TCP_KEEPALIVE, 1},
      {ZMQ_TCP_KEEPALIVE_IDLE, 20},
      {ZMQ_TCP_KEEPALIVE_INTVL, 10},
      {ZMQ_TCP_KEEPALIVE_CNT, 3},
  };
  for (const auto& [option, value] : settings) {
    const Result<void> set = made->set(option, value);
    if (!set) return set.error();
  }
  return made;
}

ZmqSocket::ZmqSocket(void* socket, size_t messages_per_turn)
    : socket_(socket), messages_per_turn_(messages_per_turn) {
  for (zmq_msg_t& part : parts_) zmq_msg_init(&part);
}

ZmqSocket::~ZmqSocket() {
  deafen();
  for (zmq_msg_t& part : parts_) zmq_msg_close(&part);
  zmq_close(socket_);
}

Result<void> ZmqSocket::set(int option, int64_t value) {
  const int narrow = static_cast<int>(value);
  const int done = option == ZMQ_MAXMSGSIZE
                       ? zmq_setsockopt(socket_, option, &value, sizeof value)
                       : zmq_setsockopt(socket_, option, &narrow, sizeof narrow);
  if (done != 0) return zmq_error("ZeroMQ option " + std::to_string(option));
  return {};
}

Result<void> ZmqSocket::subscribe(std::string_view topic) {
  if (zmq_setsockopt(socket_, ZMQ_SUBSCRIBE, topic.data(), topic.size()) != 0) {
    return zmq_error("cannot subscribe");
  }
  return {};
}

Result<void> ZmqSocket::connect(const std::string& address) {
  if (zmq_connect(socket_, address.c_str()) != 0) return zmq_error("cannot connect to " + address);
  return {};
}

Result<void> ZmqSocket::bind(const std::string& address) {
  if (zmq_bind(socket_, address.c_str()) == 0) return {};
  const int why = zmq_errno();
  Error error = zmq_error("cannot listen on " + address);
  if (why == EADDRINUSE) error.message += "; end what listens there, or take another port";
  if (why == ENODEV || why == EADDRNOTAVAIL) {
    error.message += "; no interface of this machine has that name or address, tcp://*:PORT is all";
  }
  if (why == EACCES) error.message += "; ports above 1023 are free to take";
  return error;
}

std::string ZmqSocket::bound_address() const {
  char address[512] = "";
  size_t size = sizeof address;
  zmq_getsockopt(socket_, ZMQ_LAST_ENDPOINT, address, &size);
  return address;
}

bool ZmqSocket::send(ZmqFrames frames) {
  for (size_t i = 0; i < frames.size(); ++i) {
    const int flags = ZMQ_DONTWAIT | (i + 1 < frames.size() ? ZMQ_SNDMORE : 0);
    while (zmq_send(socket_, frames[i].data(), frames[i].size(), flags) < 0) {
      if (zmq_errno() != EINTR) return false;
    }
  }
  // Sending may have taken the news that a message is there: nobody tells it again.
  if (loop_ != nullptr && !turning_) turn_later();
  return true;
}

void ZmqSocket::listen(EventLoop& loop, std::function<void(ZmqFrames)> on_message) {
  loop_ = &loop;
  on_message_ = std::move(on_message);
  size_t size = sizeof descriptor_;
  zmq_getsockopt(socket_, ZMQ_FD, &descriptor_, &size);
  loop.watch(descriptor_, EPOLLIN, *this);
  turn_later();  // what was told before nobody will tell again
}

void ZmqSocket::deafen() {
  if (loop_ == nullptr) return;
  loop_->unwatch(descriptor_, *this);
  loop_ = nullptr;
}

void ZmqSocket::on_io(uint32_t) {
  turn();
}

void ZmqSocket::turn_later() {
  if (continued_) return;
  continued_ = true;
  loop_->post(lifeline_.guard([this] {
    continued_ = false;
    turn();
  }));
}

bool ZmqSocket::turn() {
  if (turning_) return false;  // called by on_message
  turning_ = true;
  size_t told = 0;
  for (; told < messages_per_turn_ && loop_ != nullptr && receive(); ++told) {
    on_message_(std::span(frames_).first(frame_count_));
    release();
  }
  turning_ = false;
  const bool more = told == messages_per_turn_ && loop_ != nullptr;
  if (more) turn_later();
  return more;
}

// One message, whole. False: there is none.
bool ZmqSocket::receive() {
  size_t count = 0;
  frame_count_ = 0;
  for (bool more = true; more; ++count) {
    // Parts beyond the last place lie there one after the other, and go nowhere.
    zmq_msg_t& part = parts_[std::min(count, kFramesMax - 1)];
    while (zmq_msg_recv(&part, socket_, ZMQ_DONTWAIT) < 0) {
      if (zmq_errno() != EINTR) return false;
    }
    more = zmq_msg_more(&part) != 0;
  }
  if (count > kFramesMax) return true;
  frame_count_ = count;
  for (size_t i = 0; i < count; ++i) {
    frames_[i] = {static_cast<const char*>(zmq_msg_data(&parts_[i])), zmq_msg_size(&parts_[i])};
  }
  return true;
}

// Gives the memory of the message back.
void ZmqSocket::release() {
  for (zmq_msg_t& part : parts_) {
    zmq_msg_close(&part);
    zmq_msg_init(&part);
  }
}

Result<std::unique_ptr<ZmqMonitor>> ZmqMonitor::open(ZmqContext& context, ZmqSocket& of, int events,
                                                     EventLoop& loop, OnEvent on_event) {
  const std::string address =
      "inproc://monitor-" + std::to_string(reinterpret_cast<uintptr_t>(of.raw()));
  if (zmq_socket_monitor(of.raw(), address.c_str(), events) != 0) {
    return zmq_error("a ZeroMQ socket cannot be watched");
  }
  ZmqSocketOptions options;
  options.high_water_mark = 0;
  Result<std::unique_ptr<ZmqSocket>> socket = ZmqSocket::open(context, ZMQ_PAIR, options);
  if (!socket) return socket.error();
  std::unique_ptr<ZmqMonitor> made(new ZmqMonitor(of, std::move(*socket)));
  const Result<void> connected = made->socket_->connect(address);
  if (!connected) return connected.error();
  made->socket_->listen(loop, [on_event = std::move(on_event)](ZmqFrames frames) {
    uint16_t event = 0;
    int32_t value = 0;
    if (frames.empty() || frames.front().size() < sizeof event + sizeof value) return;
    std::memcpy(&event, frames.front().data(), sizeof event);
    std::memcpy(&value, frames.front().data() + sizeof event, sizeof value);
    on_event(event, value);
  });
  return made;
}

ZmqMonitor::~ZmqMonitor() {
  zmq_socket_monitor(of_.raw(), nullptr, 0);
}

}  // namespace kvasir

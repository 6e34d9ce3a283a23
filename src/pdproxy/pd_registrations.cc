#include "pdproxy/pd_registrations.h"

#include <utility>

#include "net/io/flag_address.h"

namespace kvasir {
namespace {

constexpr size_t kSocketsMax = 8;
constexpr Duration kExpiryInterval = std::chrono::milliseconds(500);
// A ROUTER puts who sent it before a message; REQ-like senders an empty frame behind that.
constexpr size_t kFramesMost = 3;

}  // namespace

Result<std::unique_ptr<PdRegistrations>> PdRegistrations::listen(EventLoop& loop,
                                                                 const std::string& host,
                                                                 uint16_t port, PdWorkers& workers,
                                                                 PdProxyProbe& probe) {
  std::unique_ptr<PdRegistrations> made(new PdRegistrations(loop, workers, probe));
  Result<std::unique_ptr<ZmqContext>> context = ZmqContext::create(kSocketsMax);
  if (!context) return context.error();
  made->context_ = std::move(*context);
  ZmqSocketOptions options;
  options.message_bytes_max = kP2pRegistrationBytesMax;
  Result<std::unique_ptr<ZmqSocket>> socket = ZmqSocket::open(*made->context_, ZMQ_ROUTER, options);
  if (!socket) return socket.error();
  // A worker that comes back before its old connection is known to be dead takes its place.
  const int hands_over = 1;
  zmq_setsockopt((*socket)->raw(), ZMQ_ROUTER_HANDOVER, &hands_over, sizeof hands_over);
  const std::string from = host == "0.0.0.0" ? "*" : host;
  const std::string address = "tcp://" + from + ":" + (port == 0 ? "*" : std::to_string(port));
  if (const Result<void> bound = (*socket)->bind(address); !bound) {
    return Error{"--registration-port: " + bound.error().message +
                 "; 0 where workers do not register"};
  }
  const std::string bound = (*socket)->bound_address();
  made->port_ = parse_port(std::string_view(bound).substr(bound.rfind(':') + 1)).value_or(port);
  made->socket_ = std::move(*socket);
  made->socket_->listen(loop, [&self = *made](ZmqFrames frames) { self.on_message(frames); });
  made->expire_later();
  return made;
}

PdRegistrations::~PdRegistrations() {
  loop_.cancel(expiry_);
}

void PdRegistrations::on_message(ZmqFrames frames) {
  if (frames.size() < 2 || frames.size() > kFramesMost) {
    return probe_.on_malformed("it has " + std::to_string(frames.size()) + " frames");
  }
  const Result<P2pRegistration> read = read_p2p_registration(frames.back());
  if (!read) return probe_.on_malformed(read.error().message);
  const PdWorkers::Heard heard = workers_.hear(*read, loop_.now());
  if (heard == PdWorkers::Heard::kMalformed) {
    return probe_.on_malformed("an address is not HOST:PORT");
  }
  probe_.on_heard(heard, *read);
}

void PdRegistrations::expire_later() {
  expiry_ = loop_.after(kExpiryInterval, [this] {
    for (const PdWorkerRef& worker : workers_.expire(loop_.now())) probe_.on_expired(*worker);
    expire_later();
  });
}

}  // namespace kvasir

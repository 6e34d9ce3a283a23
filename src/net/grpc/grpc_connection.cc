#include "net/grpc/grpc_connection.h"

#include <algorithm>
#include <cstring>
#include <utility>

#include "net/grpc/grpc_server_stream.h"

namespace kvasir {
namespace {

// Reads from one connection before others get their turn.
constexpr int kReadsPerWake = 16;
// Output gathered for one write.
constexpr size_t kGatheredBytes = 1024 * 1024;
// Unwritten output beyond which no more is read: a client that does not read gets no more work
// done.
constexpr size_t kUnwrittenBytesMax = 4 * 1024 * 1024;
// How often the timeouts are looked at, at most.
constexpr Duration kTickMin = std::chrono::milliseconds(50);

Http2Session::Settings settings_of(const GrpcServerLimits& limits) {
  return {limits.connection_window_bytes, limits.stream_window_bytes, limits.head_bytes,
          limits.concurrent_streams, limits.resets_per_second};
}

}  // namespace

GrpcService* GrpcConnections::find(std::string_view path) const {
  for (const GrpcRoute& route : routes) {
    if (route.path == path) return route.service;
  }
  return nullptr;
}

void GrpcConnections::remove(GrpcConnection& connection) {
  open.erase(&connection);
  if (current == &connection) current = nullptr;
  loop.defer([doomed = &connection] { delete doomed; });
  if (draining && open.empty() && drained) {
    loop.defer([drained = std::exchange(drained, nullptr)] { drained(); });
  }
}

GrpcConnection::GrpcConnection(GrpcConnections& connections, Descriptor socket,
                               const TlsContext* tls)
    : connections_(connections),
      loop_(connections.loop),
      target_(nullptr),
      transport_(std::move(socket), tls == nullptr ? nullptr : tls->open_session()),
      session_(settings_of(connections.limits), this),
      connected_(true),
      began_(loop_.now()),
      last_heard_(began_),
      last_call_(began_),
      last_written_(began_) {
  set_no_delay(transport_.socket());
  watched_ = EPOLLIN | EPOLLRDHUP;
  loop_.watch(transport_.socket().get(), watched_, *this);
  schedule_write();
  schedule_tick();
}

GrpcConnection::GrpcConnection(GrpcConnections& connections, const GrpcTarget& target)
    : connections_(connections),
      loop_(connections.loop),
      target_(&target),
      session_(settings_of(connections.limits), nullptr),
      began_(loop_.now()) {
  connect();
}

GrpcConnection::~GrpcConnection() = default;

std::unique_ptr<Http2Stream> GrpcConnection::open_stream(int32_t id) {
  return std::make_unique<GrpcServerStream>(*this, id);
}

// --- Connecting, of a client -----------------------------------------------------------

void GrpcConnection::connect() {
  Connecting connecting = start_connect(target_->address);
  if (connecting.error != 0) {
    // Nobody has a call here yet: they hear of it once they have.
    loop_.defer([this, error = connecting.error] {
      if (!closed_) fail_connect(error);
    });
    return;
  }
  transport_ = Transport(std::move(connecting.socket), target_->peer.open_session());
  set_unacknowledged_timeout(transport_.socket(), target_->unacknowledged_timeout);
  watched_ = EPOLLOUT;
  loop_.watch(transport_.socket().get(), watched_, *this);
  connect_timer_ = loop_.after(target_->connect_timeout, [this] {
    connect_timer_ = kNoTimer;
    close_now("no connection to " + target_->authority + " in time");
  });
}

void GrpcConnection::on_connected() {
  const int error = connect_error(transport_.socket());
  if (error != 0) return fail_connect(error);
  connected_ = true;
  if (!transport_.begin()) return fail_handshake();
  write();
}

void GrpcConnection::fail_connect(int error) {
  close_now("cannot connect to " + target_->authority + ": " + std::strerror(error));
}

void GrpcConnection::fail_handshake() {
  if (target_ == nullptr) return close_now("the TLS handshake failed");
  const std::string reason = transport_.failure();
  close_now("the TLS handshake with " + target_->authority +
            " failed: " + (reason.empty() ? "closed by the server" : reason));
}

// --- Reading and writing ---------------------------------------------------------------

void GrpcConnection::on_io(uint32_t events) {
  if (!connected_) return on_connected();
  if ((events & EPOLLOUT) && !closed_) write();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) && !closed_) on_readable();
}

// What is said of the peer is for the calls of a client: those of a server hear no reason.
void GrpcConnection::on_readable() {
  using Status = Transport::Status;
  char* scratch = loop_.scratch();
  for (int i = 0; (i < kReadsPerWake || transport_.more()) && !closed_; ++i) {
    const bool was_ready = transport_.ready();
    const Transport::Reading reading = transport_.read(scratch, EventLoop::kScratchBytes);
    if (reading.size == 0 && reading.status != Status::kLater && !was_ready) {
      return fail_handshake();
    }
    if (reading.status == Status::kLater) break;
    if (reading.status == Status::kEnd) return close_now("the server closed the connection");
    if (reading.status == Status::kBroken) {
      return close_now("the connection broke: " + transport_.failure());
    }
    if (!receive({scratch, reading.size})) return close_now("the server does not speak HTTP/2");
    if (transport_.drained()) break;
  }
  if (!closed_) schedule_write();
}

bool GrpcConnection::receive(std::string_view bytes) {
  received_ = true;
  ping_sent_ = false;
  last_heard_ = loop_.now();
  if (!session_.receive(bytes)) return false;
  report_streams();
  return true;
}

// Writes happen once per iteration of the loop, after all that was read has been handled.
void GrpcConnection::schedule_write() {
  if (closed_ || std::exchange(write_scheduled_, true)) return;
  loop_.defer([this] {
    write_scheduled_ = false;
    if (!closed_ && connected_) write();
  });
}

void GrpcConnection::write() {
  bool sending = transport_.flush();
  while (sending && !closed_ && transport_.ready() && transport_.unsent() == 0 &&
         session_.wants_write()) {
    sending = session_.produce(gather_, kGatheredBytes);
    if (gather_.size() == 0) break;
    sending = sending && transport_.send(gather_);
    if (sending) report_streams();
  }
  if (closed_) return;
  if (!sending) return close_now("the connection broke while sending");
  report_streams();
  if (closed_) return;
  if (transport_.ready()) loop_.cancel(std::exchange(connect_timer_, kNoTimer));
  if (transport_.unsent() == 0) last_written_ = loop_.now();
  const bool left = target_ != nullptr && session_.goaway_received() && calls() == 0;
  if ((session_.over() || left) && transport_.unsent() == 0) {
    return close_now("the server said goodbye");
  }
  update_watch();
}

void GrpcConnection::report_streams() {
  for (Http2Stream* stream : session_.take_emptied())
    static_cast<GrpcStream*>(stream)->on_written();
  for (const Http2Session::Closed& closed : session_.take_closed()) {
    static_cast<GrpcStream&>(*closed.stream).on_closed(closed.error);
    last_call_ = loop_.now();
  }
}

void GrpcConnection::update_watch() {
  uint32_t events = EPOLLRDHUP;
  if (transport_.unsent() <= kUnwrittenBytesMax) events |= EPOLLIN;
  if (transport_.unsent() > 0) events |= EPOLLOUT;
  if (events == watched_) return;
  watched_ = events;
  loop_.modify(transport_.socket().get(), events, *this);
}

// --- Time and end ----------------------------------------------------------------------

void GrpcConnection::schedule_tick() {
  const GrpcServerLimits& set = limits();
  const Duration shortest = std::min(
      {set.preface_timeout, set.idle_timeout, set.ping_interval, set.ping_timeout,
       set.write_timeout, transport_.encrypted() ? set.handshake_timeout : Duration::max()});
  tick_ = loop_.after(std::max<Duration>(shortest / 2, kTickMin), [this] { on_tick(); });
}

void GrpcConnection::on_tick() {
  tick_ = kNoTimer;
  const TimePoint now = loop_.now();
  const GrpcServerLimits& set = limits();
  if (calls() > 0) last_call_ = now;
  const Duration silent = now - last_heard_;
  const bool too_slow = (!transport_.ready() && now - began_ >= set.handshake_timeout) ||
                        (!received_ && silent >= set.preface_timeout) ||
                        (transport_.unsent() > 0 && now - last_written_ >= set.write_timeout) ||
                        (ping_sent_ && silent >= set.ping_interval + set.ping_timeout);
  if (too_slow) return close_now("the client is too slow");
  if (calls() > 0 && silent >= set.ping_interval && !std::exchange(ping_sent_, true)) {
    session_.send_ping();
    schedule_write();
  }
  if (now - last_call_ >= set.idle_timeout) start_drain();
  schedule_tick();
}

void GrpcConnection::start_drain() {
  if (closed_ || std::exchange(goaway_sent_, true)) return;
  session_.send_shutdown_notice();
  schedule_write();
  final_goaway_ = loop_.after(limits().drain_notice, [this] {
    final_goaway_ = kNoTimer;
    session_.send_goaway();
    schedule_write();
  });
}

void GrpcConnection::close_now(std::string reason) {
  if (closed_) return;
  failure_ = std::move(reason);
  transport_.say_goodbye();
  detach();
  session_.close_all();
  report_streams();
}

void GrpcConnection::abandon() {
  if (closed_) return;
  detach();
  session_.close_all();
  session_.take_closed();  // which destroys them
}

void GrpcConnection::detach() {
  closed_ = true;
  if (transport_.socket().open()) loop_.unwatch(transport_.socket().get(), *this);
  loop_.cancel(connect_timer_);
  loop_.cancel(tick_);
  loop_.cancel(final_goaway_);
  connections_.remove(*this);
}

}  // namespace kvasir

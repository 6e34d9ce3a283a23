#include "net/grpc/grpc_connection.h"

#include <algorithm>

#include "net/grpc/grpc_stream.h"
#include "net/io/tls_context.h"

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
  return {limits.connection_window_bytes, limits.stream_window_bytes, limits.concurrent_streams,
          limits.head_bytes, limits.resets_per_second};
}

}  // namespace

GrpcConnection::GrpcConnection(GrpcServer& server, Descriptor socket)
    : server_(server),
      loop_(server.loop_),
      transport_(std::move(socket), server.tls_ == nullptr ? nullptr : server.tls_->open_session()),
      session_(settings_of(server.limits_), *this),
      accepted_at_(loop_.now()),
      last_heard_(loop_.now()),
      last_call_(loop_.now()),
      last_written_(loop_.now()) {
  set_no_delay(transport_.socket());
  watched_ = EPOLLIN | EPOLLRDHUP;
  loop_.watch(transport_.socket().get(), watched_, *this);
  schedule_write();
  schedule_tick();
}

GrpcConnection::~GrpcConnection() {
  loop_.cancel(tick_);
  loop_.cancel(final_goaway_);
}

std::unique_ptr<Http2Stream> GrpcConnection::open_stream(int32_t id) {
  return std::make_unique<GrpcStream>(*this, id);
}

void GrpcConnection::on_io(uint32_t events) {
  if ((events & EPOLLOUT) && !closed_) write();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) && !closed_) on_readable();
}

void GrpcConnection::on_readable() {
  char* scratch = loop_.scratch();
  for (int i = 0; (i < kReadsPerWake || transport_.more()) && !closed_; ++i) {
    const Transport::Reading reading = transport_.read(scratch, EventLoop::kScratchBytes);
    if (reading.status == Transport::Status::kLater) break;
    if (reading.size == 0 || !receive({scratch, reading.size})) return close_now();
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
    if (!closed_) write();
  });
}

void GrpcConnection::write() {
  if (!transport_.flush()) return close_now();
  while (!closed_ && transport_.ready() && transport_.unsent() == 0 && session_.wants_write()) {
    if (!write_once()) return close_now();
    if (gather_.size() == 0 && !session_.wants_write()) break;
  }
  if (closed_) return;
  if (transport_.unsent() == 0) last_written_ = loop_.now();
  if (session_.over() && transport_.unsent() == 0) return close_now();
  update_watch();
}

bool GrpcConnection::write_once() {
  if (!session_.produce(gather_, kGatheredBytes)) return false;
  if (gather_.size() > 0 && !transport_.send(gather_)) return false;
  report_streams();
  return true;
}

void GrpcConnection::report_streams() {
  for (Http2Stream* stream : session_.take_emptied())
    static_cast<GrpcStream*>(stream)->on_written();
  for (const auto& stream : session_.take_closed()) {
    static_cast<GrpcStream&>(*stream).on_closed();
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

// --- Time and end
// ----------------------------------------------------------------------------------

void GrpcConnection::schedule_tick() {
  const GrpcServerLimits& set = limits();
  const Duration shortest = std::min(
      {set.preface_timeout, set.idle_timeout, set.ping_interval, set.ping_timeout,
       set.write_timeout, transport_.encrypted() ? set.handshake_timeout : Duration::max()});
  tick_ = loop_.after(std::max<Duration>(shortest / 2, kTickMin), [this] { on_tick(); });
}

void GrpcConnection::on_tick() {
  tick_ = kNoTimer;
  const TimePoint now = SteadyClock().now();
  const GrpcServerLimits& set = limits();
  if (calls() > 0) last_call_ = now;
  const Duration silent = now - last_heard_;
  if (!transport_.ready() && now - accepted_at_ >= set.handshake_timeout) return close_now();
  if (!received_ && silent >= set.preface_timeout) return close_now();
  if (transport_.unsent() > 0 && now - last_written_ >= set.write_timeout) return close_now();
  if (ping_sent_ && silent >= set.ping_interval + set.ping_timeout) return close_now();
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

void GrpcConnection::close_now() {
  if (std::exchange(closed_, true)) return;
  transport_.say_goodbye();
  loop_.unwatch(transport_.socket().get(), *this);
  loop_.cancel(tick_);
  loop_.cancel(final_goaway_);
  tick_ = final_goaway_ = kNoTimer;
  session_.close_all();
  report_streams();
  server_.remove(*this);
}

}  // namespace kvasir

#include "net/http/http2_server_connection.h"

#include <algorithm>
#include <utility>

#include "net/http/http2_exchange.h"

namespace kvasir {
namespace {

// Reads from one connection before others get their turn.
constexpr int kReadsInARow = 4;
// Output gathered for one write: what a client that does not read makes us keep, beside what waits
// in its streams.
constexpr size_t kWriteBytes = 256 * 1024;
// How often the timeouts are looked at: at half of the shortest, within these.
constexpr Duration kTickShortest = std::chrono::milliseconds(50);
constexpr Duration kTickLongest = std::chrono::seconds(5);
// Of nghttp2's own count, which closes less at once: ours decides.
constexpr uint64_t kResetsUncounted = 1'000'000;

Http2Session::Settings http2_settings(const HttpServerLimits& limits) {
  return {limits.connection_window_bytes, limits.stream_window_bytes,
          static_cast<uint32_t>(limits.head_bytes), limits.concurrent_streams, kResetsUncounted};
}

}  // namespace

Http2ServerConnection::Http2ServerConnection(HttpConnections& server, Transport transport)
    : server_(server),
      loop_(server.loop),
      transport_(std::move(transport)),
      session_(http2_settings(server.limits), this),
      resets_left_(server.limits.resets_burst),
      resets_counted_(loop_.now()),
      idle_since_(loop_.now()),
      last_written_(loop_.now()) {
  watched_ = EPOLLIN | EPOLLRDHUP;
  loop_.watch(transport_.socket().get(), watched_, *this);
  schedule_tick();
}

// The server goes, and its handlers with it: they hear of nothing any more.
Http2ServerConnection::~Http2ServerConnection() {
  if (closed_) return;
  loop_.unwatch(transport_.socket().get(), *this);
  loop_.cancel(tick_);
  loop_.cancel(final_goaway_);
}

std::unique_ptr<Http2Stream> Http2ServerConnection::open_stream(int32_t id) {
  if (server_.close_after_answers) start_goaway();
  return std::make_unique<Http2Exchange>(*this, id);
}

// --- Reading and writing ---------------------------------------------------------------

void Http2ServerConnection::begin(std::string_view first, std::string_view second) {
  if (!session_.receive(first) || !receive(second)) return close_now();
  schedule_write();
  if (!closed_ && transport_.more()) on_readable();
}

void Http2ServerConnection::on_io(uint32_t events) {
  if ((events & EPOLLOUT) && !closed_) write();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) && !closed_) on_readable();
}

void Http2ServerConnection::on_readable() {
  char* scratch = loop_.scratch();
  for (int i = 0; (i < kReadsInARow || transport_.more()) && !closed_; ++i) {
    const Transport::Reading reading = transport_.read(scratch, EventLoop::kScratchBytes);
    if (reading.status == Transport::Status::kLater) break;
    // A client that sends no more takes no answers either: streams end by themselves.
    if (reading.status != Transport::Status::kOk) return close_now();
    if (!receive({scratch, reading.size})) return;
    if (transport_.drained()) break;
  }
  if (!closed_) schedule_write();
}

// False: it is closed.
bool Http2ServerConnection::receive(std::string_view bytes) {
  const bool sound = session_.receive(bytes);
  serve();
  if (sound && !given_up_) return !closed_;
  write();  // why
  if (!closed_) close_now();
  return false;
}

// Writes happen once per iteration of the loop, after all that was read has been handled.
void Http2ServerConnection::schedule_write() {
  if (closed_ || std::exchange(write_scheduled_, true)) return;
  loop_.defer(lifeline_.guard([this] {
    write_scheduled_ = false;
    if (!closed_) write();
  }));
}

void Http2ServerConnection::write() {
  bool sending = transport_.flush();
  while (sending && !closed_ && transport_.unsent() == 0 && session_.wants_write()) {
    sending = session_.produce(gather_, kWriteBytes);
    if (gather_.size() == 0) break;
    sending = transport_.send(gather_) && sending;
    if (sending) serve();
  }
  if (closed_) return;
  if (!sending) return close_now();
  serve();
  if (transport_.unsent() == 0) last_written_ = loop_.now();
  if (session_.over() && transport_.unsent() == 0) return close_now();
  update_watch();
}

// What the session found out: what was written, what ended, what is to be answered. In this order:
// what the client took back already is not begun.
void Http2ServerConnection::serve() {
  for (Http2Stream* stream : session_.take_emptied()) {
    static_cast<Http2Exchange*>(stream)->on_written();
  }
  const std::vector<Http2Exchange*> whole = std::exchange(whole_, {});
  const std::vector<Http2Session::Closed> closed = session_.take_closed();
  for (const Http2Session::Closed& one : closed) {
    const bool unanswered = static_cast<Http2Exchange&>(*one.stream).on_closed(one.error);
    if (unanswered && !may_reset()) give_up(Http2Error::kEnhanceYourCalm);
    idle_since_ = loop_.now();
  }
  for (Http2Exchange* exchange : whole) {
    if (!given_up_ && exchange->waits_for_handler()) exchange->hand_over();
  }
}

// Whether one more stream may have ended without an answer by now.
bool Http2ServerConnection::may_reset() {
  const auto passed = std::chrono::duration<double>(loop_.now() - resets_counted_);
  resets_counted_ = loop_.now();
  resets_left_ = std::min<double>(server_.limits.resets_burst,
                                  resets_left_ + passed.count() * server_.limits.resets_per_second);
  resets_left_ -= 1;
  return resets_left_ >= 0;
}

// A client that does not read is not read either: what it says would make the session keep answers.
void Http2ServerConnection::update_watch() {
  const uint32_t events = EPOLLRDHUP | (transport_.unsent() > 0 ? EPOLLOUT : EPOLLIN);
  if (events == watched_) return;
  watched_ = events;
  loop_.modify(transport_.socket().get(), events, *this);
}

// --- Time and end ----------------------------------------------------------------------

void Http2ServerConnection::schedule_tick() {
  const HttpServerLimits& limits = server_.limits;
  const Duration shortest = std::min(
      {limits.head_timeout, limits.body_timeout, limits.keep_alive_timeout, limits.write_timeout});
  tick_ = loop_.after(std::clamp<Duration>(shortest / 2, kTickShortest, kTickLongest),
                      [this] { on_tick(); });
}

void Http2ServerConnection::on_tick() {
  tick_ = kNoTimer;
  const TimePoint now = loop_.now();
  if (transport_.unsent() > 0 && now - last_written_ >= server_.limits.write_timeout) {
    return close_now();
  }
  bool in_time = true;
  session_.for_each_open([&](Http2Stream& stream) {
    in_time = in_time && static_cast<Http2Exchange&>(stream).check_time(now);
  });
  if (!in_time) give_up(Http2Error::kEnhanceYourCalm);
  const bool idle = session_.open_streams() == 0;
  if (!idle) idle_since_ = now;
  if (idle && now - idle_since_ >= server_.limits.keep_alive_timeout) start_goaway();
  schedule_tick();
}

// In two steps (RFC 9113, 6.8): what is on its way when the client hears of it is still answered.
void Http2ServerConnection::start_goaway() {
  if (closed_ || std::exchange(goaway_begun_, true)) return;
  session_.send_shutdown_notice();
  schedule_write();
  final_goaway_ = loop_.after(server_.limits.goaway_notice, [this] {
    final_goaway_ = kNoTimer;
    session_.send_goaway();
    schedule_write();
  });
}

void Http2ServerConnection::give_up(Http2Error why) {
  if (std::exchange(given_up_, true)) return;
  session_.terminate(why);
  schedule_write();
}

void Http2ServerConnection::close_now() {
  if (closed_) return;
  closed_ = true;
  transport_.say_goodbye();
  loop_.unwatch(transport_.socket().get(), *this);
  loop_.cancel(tick_);
  loop_.cancel(final_goaway_);
  session_.close_all();
  serve();
  server_.remove(*this);
}

}  // namespace kvasir

#include "net/http/http1_client_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

namespace kvasir {
namespace {

// Reads in a row, each within the interval of the one before, until an answer is read by the clock:
// the first events of a stream come close together, and are the ones that people wait for.
constexpr uint32_t kQuickReads = 4;
// More at once is no stream of events; its sender must not wait for room here.
constexpr size_t kGatheredBytesMost = 32 * 1024;

}  // namespace

void Http1Pool::close_idle_until(uint64_t turn) {
  while (!idle.empty() && idle.front()->idle_turn() <= turn) idle.front()->cancel();
}

HttpCall& Http1ClientConnection::start(std::string_view head, std::string_view body,
                                       HttpCallObserver& observer, bool is_head_request) {
  observer_ = &observer;
  head_ = head;
  body_ = body;
  is_head_request_ = is_head_request;
  paused_ = resent_ = false;
  begin();
  return *this;
}

void Http1ClientConnection::begin() {
  unsent_head_ = head_;
  unsent_body_ = body_;
  answered_ = false;
  quick_reads_ = 0;
  reader_.begin(*observer_, is_head_request_);
  reused_ = connected_;
  began_ = loop_.now();
  if (!connected_) return connect();
  deadline_.arm(pool_.limits.first_byte_timeout);
  send_request();
}

void Http1ClientConnection::connect() {
  Connecting connecting = start_connect(pool_.address);
  if (connecting.error != 0) {
    // Reported by the loop: nothing is before start() has returned.
    refused_ = loop_.after(Duration::zero(), [this, error = connecting.error] {
      refused_ = kNoTimer;
      fail_connect(error);
    });
    return;
  }
  transport_ = Transport(std::move(connecting.socket), pool_.peer.open_session());
  watched_ = EPOLLOUT;
  loop_.watch(transport_.socket().get(), watched_, *this);
  deadline_.arm(pool_.limits.connect_timeout);
}

void Http1ClientConnection::on_connected() {
  const int error = connect_error(transport_.socket());
  if (error != 0) return fail_connect(error);
  connected_ = true;
  if (!transport_.begin()) return fail_handshake(transport_.failure());
  transport_.ready() ? on_ready() : update_watch();
}

void Http1ClientConnection::on_ready() {
  deadline_.arm(pool_.limits.first_byte_timeout);
  send_request();
}

// A broken connection shows when it is read: the answer may already be there.
void Http1ClientConnection::send_request() {
  while (!unsent_head_.empty() || !unsent_body_.empty()) {
    const std::optional<size_t> sent = transport_.send_some(unsent_head_, unsent_body_);
    if (!sent) unsent_head_ = unsent_body_ = {};
    if (sent.value_or(0) == 0) break;
    const size_t from_head = std::min(*sent, unsent_head_.size());
    unsent_head_.remove_prefix(from_head);
    unsent_body_.remove_prefix(*sent - from_head);
  }
  update_watch();
}

void Http1ClientConnection::set_paused(bool paused) {
  if (paused_ == paused || closed_) return;
  paused_ = paused;
  stop_gathering();
  if (std::exchange(hung_up_, false)) {
    loop_.watch(transport_.socket().get(), watched_, *this);
  }
  update_watch();
  deadline_.arm(pool_.limits.idle_timeout);
}

void Http1ClientConnection::on_io(uint32_t events) {
  if (!connected_) return on_connected();
  if (events & EPOLLOUT) {
    transport_.flush();  // a broken connection shows when it is read
    observer_ != nullptr&& transport_.ready() ? send_request() : update_watch();
  }
  if (closed_) return;
  if (!paused_) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_all();
  } else if (events & (EPOLLHUP | EPOLLERR)) {
    // The kernel would go on saying so. What it has kept of the answer is read when the reader goes
    // on.
    hung_up_ = true;
    loop_.unwatch(transport_.socket().get(), *this);
  }
}

// As long as there is more that the loop would not tell of.
void Http1ClientConnection::read_all() {
  size_t bytes = 0;
  do bytes += on_readable();
  while (!closed_ && !paused_ && transport_.more());
  if (pool_.limits.gather_interval > Duration::zero()) note_pace(bytes);
}

// An engine may send each token by itself, and faster than anybody needs them one by one. What is
// large, or comes slowly, gains nothing by waiting.
void Http1ClientConnection::note_pace(size_t bytes) {
  if (closed_ || paused_ || observer_ == nullptr) return;  // whoever did that stopped it
  const bool gathering = gather_ != kNoTimer;
  loop_.cancel(std::exchange(gather_, kNoTimer));
  const TimePoint now = loop_.now();
  const Duration interval = pool_.limits.gather_interval;
  const bool small = bytes > 0 && bytes <= kGatheredBytesMost;
  const bool quick = small && (gathering || now - last_read_ < interval);
  last_read_ = now;
  quick_reads_ = quick ? quick_reads_ + 1 : 0;
  if (quick_reads_ >= kQuickReads) {
    gather_ = loop_.after(interval, [this] { read_all(); });
  }
  if (gathering != (gather_ != kNoTimer)) update_watch();
}

void Http1ClientConnection::stop_gathering() {
  loop_.cancel(std::exchange(gather_, kNoTimer));
  quick_reads_ = 0;
}

// How many bytes of an answer it read.
size_t Http1ClientConnection::on_readable() {
  char* scratch = loop_.scratch();
  const bool was_ready = transport_.ready();
  const Transport::Reading reading = transport_.read(scratch, EventLoop::kScratchBytes);
  if (reading.status == Transport::Status::kBroken) {
    was_ready ? fail_closed(transport_.failure()) : fail_handshake(transport_.failure());
    return 0;
  }
  if (reading.status == Transport::Status::kEnd) {
    was_ready ? on_end_of_input() : fail_handshake("closed by the server");
    return 0;
  }
  if (!was_ready) transport_.ready() ? on_ready() : update_watch();
  if (reading.size == 0) return 0;
  if (observer_ == nullptr) {  // bytes nobody asked for
    close();
    return 0;
  }
  answered_ = true;
  deadline_.arm(pool_.limits.idle_timeout);
  take({scratch, reading.size});
  return reading.size;
}

void Http1ClientConnection::take(std::string_view bytes) {
  const HttpAnswerReader::State state = reader_.take(bytes);
  if (closed_) return;
  if (state == HttpAnswerReader::State::kComplete) return on_answer_complete();
  if (state == HttpAnswerReader::State::kFailed) {
    fail(Kind::kMalformed,
         std::string("the answer is not valid HTTP/1.1: ").append(reader_.fault()));
  }
}

void Http1ClientConnection::on_end_of_input() {
  if (observer_ == nullptr) return close();
  if (reader_.end_of_input() != HttpAnswerReader::State::kComplete) {
    return fail_closed("closed by the server before the answer was complete");
  }
  HttpCallObserver* observer = std::exchange(observer_, nullptr);
  close();
  observer->on_end();
}

// A connection with more behind the answer, read or not, is never used again: it would be taken for
// the answer to the next request, which may be another client's.
void Http1ClientConnection::on_answer_complete() {
  HttpCallObserver* observer = std::exchange(observer_, nullptr);
  if (reader_.reusable() && transport_.drained() && request_sent() &&
      pool_.idle.size() < pool_.limits.idle_connections) {
    become_idle();
  } else {
    close();
  }
  observer->on_end();
}

// The loop would have told of it, unless it is not running.
bool Http1ClientConnection::quiet() const {
  if (loop_.told_all(*this)) return true;
  char byte;
  return recv(transport_.socket().get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK);
}

void Http1ClientConnection::become_idle() {
  paused_ = false;
  stop_gathering();
  update_watch();
  deadline_.arm(pool_.limits.keep_alive_timeout);
  idle_turn_ = ++pool_.idle_turns;
  pool_.idle.push_back(this);
}

void Http1ClientConnection::fail(Kind kind, std::string message, Cause cause) {
  if (closed_) return;
  HttpCallObserver* observer = observer_;
  close();
  if (observer != nullptr) observer->on_failure({kind, std::move(message), resent_, cause});
}

void Http1ClientConnection::fail_closed(const std::string& how) {
  if (observer_ != nullptr && !answered_ && may_be_stale()) return send_again();
  fail(Kind::kClosed, "connection lost: " + how);
}

void Http1ClientConnection::fail_connect(int error) {
  fail(Kind::kConnect, std::string("cannot connect: ") + std::strerror(error),
       error == ECONNREFUSED ? Cause::kRefused : Cause::kOther);
}

void Http1ClientConnection::fail_handshake(const std::string& how) {
  fail(Kind::kConnect, "cannot connect: the TLS handshake failed: " + how, Cause::kHandshake);
}

// On a new connection, so it happens once. Those that have been idle for longer are no better than
// this one was.
void Http1ClientConnection::send_again() {
  pool_.close_idle_until(idle_turn_);
  close_socket();
  connected_ = false;
  resent_ = true;
  stop_gathering();
  begin();
}

void Http1ClientConnection::close() {
  if (closed_) return;
  const auto idle = std::find(pool_.idle.begin(), pool_.idle.end(), this);
  if (idle != pool_.idle.end()) pool_.idle.erase(idle);
  pool_.connections.erase(this);
  detach_and_close();
  loop_.defer([this] { delete this; });
}

// A request that is given up is reset: a plain close would look like a client that only has no more
// to send, and the server would work on.
void Http1ClientConnection::detach_and_close() {
  observer_ != nullptr&& connected_ ? reset_on_close(transport_.socket())
                                    : transport_.say_goodbye();
  closed_ = true;
  observer_ = nullptr;
  reader_.stop();
  deadline_.cancel();
  loop_.cancel(refused_);
  stop_gathering();
  close_socket();
}

void Http1ClientConnection::close_socket() {
  if (!transport_.socket().open()) return;
  if (!std::exchange(hung_up_, false)) loop_.unwatch(transport_.socket().get(), *this);
  transport_ = Transport();
}

void Http1ClientConnection::update_watch() {
  if (closed_ || hung_up_ || !transport_.socket().open()) return;
  const bool unsent = !unsent_head_.empty() || !unsent_body_.empty();
  uint32_t events = 0;
  if (!paused_ && gather_ == kNoTimer) events |= EPOLLIN;
  if ((unsent && transport_.ready()) || transport_.unsent() > 0) events |= EPOLLOUT;
  if (events == watched_) return;
  const bool resumed = (events & ~watched_ & EPOLLIN) != 0;
  watched_ = events;
  loop_.modify(transport_.socket().get(), events, *this);
  if (!resumed || !transport_.more()) return;
  loop_.defer(lifeline_.guard([this] {
    if (!closed_ && !paused_ && transport_.more()) read_all();
  }));
}

void Http1ClientConnection::on_deadline() {
  if (observer_ == nullptr) return close();
  if (paused_)
    return deadline_.arm(pool_.limits.idle_timeout);  // the reader is slow, not the server
  if (!connected_ || !transport_.ready()) {
    return fail(Kind::kConnect, "cannot connect: no answer in time", Cause::kTimedOut);
  }
  if (!answered_) return fail(Kind::kFirstByteTimeout, "no byte of the answer arrived in time");
  fail(Kind::kIdleTimeout, "the answer stalled");
}

}  // namespace kvasir

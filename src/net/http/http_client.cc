#include "net/http/http_client.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/lifeline.h"
#include "net/http/http_answer_reader.h"
#include "net/io/deadline.h"
#include "net/io/event_loop.h"
#include "net/io/transport.h"

namespace kvasir {

// One connection of a pool. Destroyed at the end of the loop's iteration in which it is closed.
class HttpClientConnection final : public IoHandler {
 public:
  explicit HttpClientConnection(HttpClient& client)
      : client_(client),
        loop_(client.loop_),
        reader_(client.limits_),
        deadline_(loop_, [this] { on_deadline(); }) {
    call_.connection_ = this;
  }
  ~HttpClientConnection() override { loop_.cancel(refused_); }

  HttpCall& start(std::string_view head, std::string_view body, HttpCallObserver& observer,
                  bool is_head_request);
  void cancel() { close(); }
  bool request_sent() const {
    return unsent_head_.empty() && unsent_body_.empty() && transport_.unsent() == 0 &&
           (answered_ || !may_be_stale());
  }
  bool connected() const { return connected_; }
  uint64_t idle_turn() const { return idle_turn_; }
  // Whether nothing arrived while it was idle: neither bytes that nobody asked for, nor its end.
  bool quiet() const;
  void set_paused(bool paused);
  void detach_and_close();
  void on_io(uint32_t events) override;

 private:
  using Kind = HttpFailure::Kind;

  void begin();
  void connect();
  void on_connected();
  void on_ready();
  void send_request();
  void read_all();
  void on_readable();
  void take(std::string_view bytes);
  void on_end_of_input();
  void on_answer_complete();
  void become_idle();
  void fail(Kind kind, std::string message);
  void fail_closed(const std::string& how);
  void fail_handshake(const std::string& how);
  bool may_be_stale() const {
    return reused_ && loop_.now() - began_ <= client_.limits_.stale_within;
  }
  void send_again();
  void close_socket();
  void close();
  void update_watch();
  void on_deadline();

  HttpClient& client_;
  EventLoop& loop_;
  HttpCall call_;
  Transport transport_;
  HttpAnswerReader reader_;
  std::string_view head_;  // of the call, as is body_
  std::string_view body_;
  std::string_view unsent_head_;
  std::string_view unsent_body_;
  HttpCallObserver* observer_ = nullptr;  // null while idle
  uint32_t watched_ = 0;
  Deadline deadline_;
  TimerId refused_ = kNoTimer;  // reports a connection that could not even be tried
  TimePoint began_{};        // of the call, on this connection
  uint64_t idle_turn_ = 0;      // HttpClient::idle_turns_ when it last became idle
  bool is_head_request_ = false;
  bool connected_ = false;
  bool reused_ = false;
  bool resent_ = false;    // HttpFailure::resent
  bool answered_ = false;  // some byte of this answer has arrived
  bool paused_ = false;
  bool hung_up_ = false;  // while paused: not watched until the reader goes on
  bool closed_ = false;
  Lifeline lifeline_;
};

HttpCall& HttpClientConnection::start(std::string_view head, std::string_view body,
                                      HttpCallObserver& observer, bool is_head_request) {
  observer_ = &observer;
  head_ = head;
  body_ = body;
  is_head_request_ = is_head_request;
  paused_ = resent_ = false;
  begin();
  return call_;
}

void HttpClientConnection::begin() {
  unsent_head_ = head_;
  unsent_body_ = body_;
  answered_ = false;
  reader_.begin(*observer_, is_head_request_);
  reused_ = connected_;
  began_ = loop_.now();
  if (!connected_) return connect();
  deadline_.arm(client_.limits_.first_byte_timeout);
  send_request();
}

void HttpClientConnection::connect() {
  Result<Descriptor> socket = start_connect(client_.address_);
  if (!socket) {
    // Reported by the loop: nothing is before start() has returned.
    refused_ = loop_.after(Duration::zero(), [this, message = socket.error().message] {
      refused_ = kNoTimer;
      fail(Kind::kConnect, message);
    });
    return;
  }
  transport_ = Transport(std::move(*socket), client_.peer_.open_session());
  watched_ = EPOLLOUT;
  loop_.watch(transport_.socket().get(), watched_, *this);
  deadline_.arm(client_.limits_.connect_timeout);
}

void HttpClientConnection::on_connected() {
  const int error = connect_error(transport_.socket());
  if (error != 0) return fail(Kind::kConnect, std::string("cannot connect: ") + std::strerror(error));
  connected_ = true;
  if (!transport_.begin()) return fail_handshake(transport_.failure());
  transport_.ready() ? on_ready() : update_watch();
}

void HttpClientConnection::on_ready() {
  deadline_.arm(client_.limits_.first_byte_timeout);
  send_request();
}

// A broken connection shows when it is read: the answer may already be there.
void HttpClientConnection::send_request() {
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

void HttpClientConnection::set_paused(bool paused) {
  if (paused_ == paused || closed_) return;
  paused_ = paused;
  if (std::exchange(hung_up_, false)) {
    loop_.watch(transport_.socket().get(), watched_, *this);
  }
  update_watch();
  deadline_.arm(client_.limits_.idle_timeout);
}

void HttpClientConnection::on_io(uint32_t events) {
  if (!connected_) return on_connected();
  if (events & EPOLLOUT) {
    transport_.flush();  // a broken connection shows when it is read
    observer_ != nullptr&& transport_.ready() ? send_request() : update_watch();
  }
  if (closed_) return;
  if (!paused_) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) read_all();
  } else if (events & (EPOLLHUP | EPOLLERR)) {
    // The kernel would go on saying so. What it has kept of the answer is read when the reader goes on.
    hung_up_ = true;
    loop_.unwatch(transport_.socket().get(), *this);
  }
}

// As long as there is more that the loop would not tell of.
void HttpClientConnection::read_all() {
  do on_readable();
  while (!closed_ && !paused_ && transport_.more());
}

void HttpClientConnection::on_readable() {
  char* scratch = loop_.scratch();
  const bool was_ready = transport_.ready();
  const Transport::Reading reading = transport_.read(scratch, EventLoop::kScratchBytes);
  if (reading.status == Transport::Status::kBroken) {
    return was_ready ? fail_closed(transport_.failure()) : fail_handshake(transport_.failure());
  }
  if (reading.status == Transport::Status::kEnd) {
    return was_ready ? on_end_of_input() : fail_handshake("closed by the server");
  }
  if (!was_ready) transport_.ready() ? on_ready() : update_watch();
  if (reading.size == 0) return;
  if (observer_ == nullptr) return close();  // bytes nobody asked for
  answered_ = true;
  deadline_.arm(client_.limits_.idle_timeout);
  take({scratch, reading.size});
}

void HttpClientConnection::take(std::string_view bytes) {
  const HttpAnswerReader::State state = reader_.take(bytes);
  if (closed_) return;
  if (state == HttpAnswerReader::State::kComplete) return on_answer_complete();
  if (state == HttpAnswerReader::State::kFailed) {
    fail(Kind::kMalformed, std::string("the answer is not valid HTTP/1.1: ").append(reader_.fault()));
  }
}

void HttpClientConnection::on_end_of_input() {
  if (observer_ == nullptr) return close();
  if (reader_.end_of_input() != HttpAnswerReader::State::kComplete) {
    return fail_closed("closed by the server before the answer was complete");
  }
  HttpCallObserver* observer = std::exchange(observer_, nullptr);
  close();
  observer->on_end();
}

// A connection with more behind the answer, read or not, is never used again: it would be taken for the answer to
// the next request, which may be another client's.
void HttpClientConnection::on_answer_complete() {
  HttpCallObserver* observer = std::exchange(observer_, nullptr);
  if (reader_.reusable() && transport_.drained() && request_sent() &&
      client_.idle_.size() < client_.limits_.idle_connections) {
    become_idle();
  } else {
    close();
  }
  observer->on_end();
}

// The loop would have told of it, unless it is not running.
bool HttpClientConnection::quiet() const {
  if (loop_.told_all(*this)) return true;
  char byte;
  return recv(transport_.socket().get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
         (errno == EAGAIN || errno == EWOULDBLOCK);
}

void HttpClientConnection::become_idle() {
  paused_ = false;
  update_watch();
  deadline_.arm(client_.limits_.keep_alive_timeout);
  idle_turn_ = ++client_.idle_turns_;
  client_.idle_.push_back(this);
}

void HttpClientConnection::fail(Kind kind, std::string message) {
  if (closed_) return;
  HttpCallObserver* observer = observer_;
  close();
  if (observer != nullptr) observer->on_failure({kind, std::move(message), resent_});
}

void HttpClientConnection::fail_closed(const std::string& how) {
  if (observer_ != nullptr && !answered_ && may_be_stale()) return send_again();
  fail(Kind::kClosed, "connection lost: " + how);
}

void HttpClientConnection::fail_handshake(const std::string& how) {
  fail(Kind::kConnect, "cannot connect: the TLS handshake failed: " + how);
}

// On a new connection, so it happens once. Those that have been idle for longer are no better than this one was.
void HttpClientConnection::send_again() {
  client_.close_idle_until(idle_turn_);
  close_socket();
  connected_ = false;
  resent_ = true;
  begin();
}

void HttpClientConnection::close() {
  if (closed_) return;
  const auto idle = std::find(client_.idle_.begin(), client_.idle_.end(), this);
  if (idle != client_.idle_.end()) client_.idle_.erase(idle);
  client_.connections_.erase(this);
  detach_and_close();
  loop_.defer([this] { delete this; });
}

// A request that is given up is reset: a plain close would look like a client that only has no more to send, and the
// server would work on.
void HttpClientConnection::detach_and_close() {
  observer_ != nullptr&& connected_ ? reset_on_close(transport_.socket())
                                    : transport_.say_goodbye();
  closed_ = true;
  observer_ = nullptr;
  reader_.stop();
  deadline_.cancel();
  loop_.cancel(refused_);
  close_socket();
}

void HttpClientConnection::close_socket() {
  if (!transport_.socket().open()) return;
  if (!std::exchange(hung_up_, false)) loop_.unwatch(transport_.socket().get(), *this);
  transport_ = Transport();
}

void HttpClientConnection::update_watch() {
  if (closed_ || hung_up_ || !transport_.socket().open()) return;
  const bool unsent = !unsent_head_.empty() || !unsent_body_.empty();
  uint32_t events = 0;
  if (!paused_) events |= EPOLLIN;
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

void HttpClientConnection::on_deadline() {
  if (observer_ == nullptr) return close();
  if (paused_) return deadline_.arm(client_.limits_.idle_timeout);  // the reader is slow, not the server
  if (!connected_ || !transport_.ready()) {
    return fail(Kind::kConnect, "cannot connect: no answer in time");
  }
  if (!answered_) return fail(Kind::kFirstByteTimeout, "no byte of the answer arrived in time");
  fail(Kind::kIdleTimeout, "the answer stalled");
}

void HttpCall::cancel() { connection_->cancel(); }
void HttpCall::pause() { connection_->set_paused(true); }
bool HttpCall::request_sent() const { return connection_->request_sent(); }
bool HttpCall::connected() const { return connection_->connected(); }
void HttpCall::resume() { connection_->set_paused(false); }

HttpClient::HttpClient(EventLoop& loop, const SocketAddress& address, HttpClientLimits limits,
                       TlsPeer peer)
    : loop_(loop), address_(address), limits_(limits), peer_(std::move(peer)) {}

HttpClient::~HttpClient() {
  for (HttpClientConnection* connection : connections_) {
    connection->detach_and_close();
    delete connection;
  }
}

HttpCall& HttpClient::start(std::string_view head, std::string_view body, HttpCallObserver& observer,
                            bool is_head_request, bool fresh_connection) {
  HttpClientConnection* connection = nullptr;
  while (!fresh_connection && connection == nullptr && !idle_.empty()) {
    connection = idle_.back();
    idle_.pop_back();
    if (!connection->quiet()) std::exchange(connection, nullptr)->cancel();
  }
  if (connection == nullptr) {
    connection = new HttpClientConnection(*this);
    connections_.insert(connection);
  }
  return connection->start(head, body, observer, is_head_request);
}

void HttpClient::close_idle_until(uint64_t turn) {
  while (!idle_.empty() && idle_.front()->idle_turn() <= turn) idle_.front()->cancel();
}

}  // namespace kvasir

#include "net/http/http_client.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "net/http/http_answer_reader.h"
#include "net/io/deadline.h"
#include "net/io/event_loop.h"
#include "net/io/output_queue.h"

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
    return unsent_head_.empty() && unsent_body_.empty() && (answered_ || !may_be_stale());
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
  void send_request();
  void on_readable();
  void take(std::string_view bytes);
  void on_end_of_input();
  void on_answer_complete();
  void become_idle();
  void fail(Kind kind, std::string message);
  void fail_closed(const std::string& how);
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
  Descriptor socket_;
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
  bool drained_ = true;   // the last read left nothing in the socket
  bool closed_ = false;
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
  socket_ = std::move(*socket);
  watched_ = EPOLLOUT;
  loop_.watch(socket_.get(), watched_, *this);
  deadline_.arm(client_.limits_.connect_timeout);
}

void HttpClientConnection::on_connected() {
  const int error = connect_error(socket_);
  if (error != 0) return fail(Kind::kConnect, std::string("cannot connect: ") + std::strerror(error));
  connected_ = true;
  deadline_.arm(client_.limits_.first_byte_timeout);
  send_request();
}

// A broken connection shows when it is read: the answer may already be there.
void HttpClientConnection::send_request() {
  while (!unsent_head_.empty() || !unsent_body_.empty()) {
    iovec pieces[2] = {{const_cast<char*>(unsent_head_.data()), unsent_head_.size()},
                       {const_cast<char*>(unsent_body_.data()), unsent_body_.size()}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent < 0) {
      if (errno != EAGAIN && errno != EINTR) unsent_head_ = unsent_body_ = {};
      break;
    }
    const size_t from_head = std::min<size_t>(static_cast<size_t>(sent), unsent_head_.size());
    unsent_head_.remove_prefix(from_head);
    unsent_body_.remove_prefix(static_cast<size_t>(sent) - from_head);
  }
  update_watch();
}

void HttpClientConnection::set_paused(bool paused) {
  if (paused_ == paused || closed_) return;
  paused_ = paused;
  if (std::exchange(hung_up_, false)) loop_.watch(socket_.get(), watched_, *this);
  update_watch();
  deadline_.arm(client_.limits_.idle_timeout);
}

void HttpClientConnection::on_io(uint32_t events) {
  if (!connected_) return on_connected();
  if ((events & EPOLLOUT) && observer_ != nullptr) send_request();
  if (closed_) return;
  if (!paused_) {
    if (events & (EPOLLIN | EPOLLHUP | EPOLLERR)) on_readable();
  } else if (events & (EPOLLHUP | EPOLLERR)) {
    // The kernel would go on saying so. What it has kept of the answer is read when the reader goes on.
    hung_up_ = true;
    loop_.unwatch(socket_.get(), *this);
  }
}

void HttpClientConnection::on_readable() {
  char* scratch = loop_.scratch();
  const ssize_t count = recv(socket_.get(), scratch, EventLoop::kScratchBytes, 0);
  if (count < 0) {
    if (errno == EAGAIN || errno == EINTR) return;
    return fail_closed(std::strerror(errno));
  }
  if (count == 0) return on_end_of_input();
  if (observer_ == nullptr) return close();  // bytes nobody asked for
  answered_ = true;
  drained_ = static_cast<size_t>(count) < EventLoop::kScratchBytes;
  deadline_.arm(client_.limits_.idle_timeout);
  take({scratch, static_cast<size_t>(count)});
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
  if (reader_.reusable() && drained_ && request_sent() && client_.idle_.size() < client_.limits_.idle_connections) {
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
  return recv(socket_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 && (errno == EAGAIN || errno == EWOULDBLOCK);
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
  if (observer_ != nullptr && connected_) reset_on_close(socket_);
  closed_ = true;
  observer_ = nullptr;
  reader_.stop();
  deadline_.cancel();
  loop_.cancel(refused_);
  close_socket();
}

void HttpClientConnection::close_socket() {
  if (!socket_.open()) return;
  if (!std::exchange(hung_up_, false)) loop_.unwatch(socket_.get(), *this);
  socket_ = Descriptor();
}

void HttpClientConnection::update_watch() {
  if (closed_ || hung_up_ || !socket_.open()) return;
  uint32_t events = 0;
  if (!paused_) events |= EPOLLIN;
  if (!unsent_head_.empty() || !unsent_body_.empty()) events |= EPOLLOUT;
  if (events == watched_) return;
  watched_ = events;
  loop_.modify(socket_.get(), events, *this);
}

void HttpClientConnection::on_deadline() {
  if (observer_ == nullptr) return close();
  if (paused_) return deadline_.arm(client_.limits_.idle_timeout);  // the reader is slow, not the server
  if (!connected_) return fail(Kind::kConnect, "cannot connect: no answer in time");
  if (!answered_) return fail(Kind::kFirstByteTimeout, "no byte of the answer arrived in time");
  fail(Kind::kIdleTimeout, "the answer stalled");
}

void HttpCall::cancel() { connection_->cancel(); }
void HttpCall::pause() { connection_->set_paused(true); }
bool HttpCall::request_sent() const { return connection_->request_sent(); }
bool HttpCall::connected() const { return connection_->connected(); }
void HttpCall::resume() { connection_->set_paused(false); }

HttpClient::HttpClient(EventLoop& loop, const SocketAddress& address, HttpClientLimits limits)
    : loop_(loop), address_(address), limits_(limits) {}

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

#include "net/http_client.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>

#include "net/byte_buffer.h"
#include "net/deadline.h"
#include "net/event_loop.h"
#include "net/http1_parser.h"
#include "net/output_queue.h"

namespace kvasir {

// One connection of a pool. Destroyed at the end of the loop's iteration in which it is closed.
class HttpClientConnection final : public IoHandler, private Http1Parser::BodySink {
 public:
  explicit HttpClientConnection(HttpClient& client)
      : client_(client),
        loop_(client.loop_),
        parser_(Http1Parser::Kind::kResponse, client.limits_.head_bytes),
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
  void parse(std::string_view bytes);
  bool feed_once(std::string_view bytes, size_t& used);
  void on_body(std::string_view bytes) override { observer_->on_body(bytes); }
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
  Http1Parser parser_;
  ByteBuffer input_;  // bytes of the answer that the parser could not use yet
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
  parser_.reset(is_head_request_);
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
  update_watch();
  deadline_.arm(client_.limits_.idle_timeout);
}

void HttpClientConnection::on_io(uint32_t events) {
  if (!connected_) return on_connected();
  if ((events & EPOLLOUT) && observer_ != nullptr) send_request();
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) && !closed_ && !paused_) on_readable();
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
  deadline_.arm(client_.limits_.idle_timeout);
  const std::string_view bytes(scratch, static_cast<size_t>(count));
  if (input_.size() == 0) return parse(bytes);
  input_.append(bytes);
  ByteBuffer whole = std::move(input_);
  input_ = ByteBuffer();
  parse(whole.view());
}

void HttpClientConnection::parse(std::string_view bytes) {
  size_t used = 0;
  while (used < bytes.size() && !closed_ && !parser_.complete()) {
    if (!feed_once(bytes, used)) break;
  }
  if (closed_) return;
  if (parser_.complete()) return on_answer_complete();
  input_.append(bytes.substr(used));
}

// Feeds the parser what is left of `bytes` and reports it. False: it needs more bytes, or it is over.
bool HttpClientConnection::feed_once(std::string_view bytes, size_t& used) {
  const bool had_head = parser_.head_complete();
  const size_t begin = used;
  used += parser_.feed(bytes.substr(begin), *this);
  if (closed_) return false;
  if (parser_.failure() != Http1Parser::Failure::kNone) {
    fail(Kind::kMalformed, "the answer is not valid HTTP/1.1");
    return false;
  }
  if (had_head) {
    if (used > begin) observer_->on_raw(bytes.substr(begin, used - begin));
  } else if (parser_.head_complete()) {
    if (parser_.head().status() / 100 == 1) {
      parser_.reset();  // an interim answer: the real one follows
      return true;
    }
    observer_->on_head(parser_.head());
  }
  return !closed_ && used > begin;
}

void HttpClientConnection::on_end_of_input() {
  if (observer_ == nullptr) return close();
  if (parser_.head_complete()) parser_.end_of_input();
  if (parser_.head_complete() && parser_.complete()) {
    HttpCallObserver* observer = observer_;
    close();
    return observer->on_end();
  }
  fail_closed("closed by the server before the answer was complete");
}

void HttpClientConnection::on_answer_complete() {
  HttpCallObserver* observer = observer_;
  if (parser_.head().keep_alive() && request_sent() &&
      client_.idle_.size() < client_.limits_.idle_connections) {
    become_idle();
  } else {
    close();
  }
  observer->on_end();
}

void HttpClientConnection::become_idle() {
  observer_ = nullptr;
  paused_ = false;
  input_.clear();
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
  input_.clear();
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

void HttpClientConnection::detach_and_close() {
  closed_ = true;
  observer_ = nullptr;
  deadline_.cancel();
  loop_.cancel(refused_);
  close_socket();
}

void HttpClientConnection::close_socket() {
  if (!socket_.open()) return;
  loop_.unwatch(socket_.get(), *this);
  socket_ = Descriptor();
}

void HttpClientConnection::update_watch() {
  if (closed_ || !socket_.open()) return;
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
  if (fresh_connection || idle_.empty()) {
    connection = new HttpClientConnection(*this);
    connections_.insert(connection);
  } else {
    connection = idle_.back();
    idle_.pop_back();
  }
  return connection->start(head, body, observer, is_head_request);
}

void HttpClient::close_idle_until(uint64_t turn) {
  while (!idle_.empty() && idle_.front()->idle_turn() <= turn) idle_.front()->cancel();
}

}  // namespace kvasir

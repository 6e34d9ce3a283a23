#include "net/http_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>

namespace kvasir {
namespace {

// A body of unknown good faith gets its memory in steps of at least this much.
constexpr size_t kBodyStepBytes = 1024 * 1024;
// How long a refused client may go on sending before the connection is cut.
constexpr Duration kLingerTimeout = std::chrono::seconds(5);
// A body buffer larger than this is not kept for the connection's next request.
constexpr size_t kKeptBodyBytes = 64 * 1024;

}  // namespace

HttpConnection::HttpConnection(HttpServer& server, Descriptor socket)
    : server_(server),
      loop_(server.loop_),
      socket_(std::move(socket)),
      parser_(Http1Parser::Kind::kRequest, server.limits_.head_bytes),
      exchange_(*this),
      deadline_(loop_, [this] { on_deadline(); }) {
  set_no_delay(socket_);
  watched_ = EPOLLIN | EPOLLRDHUP;
  loop_.watch(socket_.get(), watched_, *this);
  deadline_.arm(server_.limits_.keep_alive_timeout);
}

HttpConnection::~HttpConnection() = default;

void HttpConnection::on_io(uint32_t events) {
  if ((events & EPOLLOUT) && !closed_) {
    if (!output_.flush(socket_.get())) return client_gone();
    if (output_.size() == 0) on_flushed();
  }
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR | EPOLLRDHUP)) && !closed_) on_readable();
}

void HttpConnection::close_if_idle() {
  if (phase_ == Phase::kIdle && !closed_) close_now();
}

// --- Reading ---------------------------------------------------------------------------------------

void HttpConnection::on_readable() {
  if (phase_ == Phase::kBody && read_into_body()) return;
  char* scratch = loop_.scratch();
  const ssize_t count = recv(socket_.get(), scratch, EventLoop::kScratchBytes, 0);
  if (count > 0) return consume({scratch, static_cast<size_t>(count)});
  if (count == 0) return on_end_of_input();
  if (errno != EAGAIN && errno != EINTR) client_gone();
}

// Reads a fixed-length body straight into its buffer. False: not that kind of body.
bool HttpConnection::read_into_body() {
  const uint64_t left = parser_.fixed_body_left();
  if (left == 0) return false;
  const size_t room = std::min<uint64_t>(left, std::max(kBodyStepBytes, body_.size()));
  const ssize_t count = recv(socket_.get(), body_.prepare(room), room, 0);
  if (count < 0) {
    if (errno != EAGAIN && errno != EINTR) client_gone();
    return true;
  }
  if (count == 0) {
    on_end_of_input();
    return true;
  }
  body_.commit(static_cast<size_t>(count));
  parser_.skip_body(static_cast<uint64_t>(count));
  if (parser_.complete()) {
    answer_request();
  } else {
    arm_for_input();
  }
  return true;
}

void HttpConnection::consume(std::string_view bytes) {
  switch (phase_) {
    case Phase::kLingering:
      return;
    case Phase::kAnswering:
    case Phase::kFlushing:
      input_.append(bytes);
      return update_watch();
    default:
      break;
  }
  if (input_.size() > 0) {
    input_.append(bytes);
    return consume_input();
  }
  const size_t used = parse(bytes);
  if (!closed_) input_.append(bytes.substr(used));
}

void HttpConnection::consume_input() {
  const size_t used = parse(input_.view());
  if (closed_) return;
  input_.remove_prefix(used);
  update_watch();
}

size_t HttpConnection::parse(std::string_view bytes) {
  parsing_ = true;
  size_t used = 0;
  while (used < bytes.size() && !closed_ && phase_ <= Phase::kBody) {
    if (phase_ == Phase::kIdle) phase_ = Phase::kHead;
    const bool had_head = parser_.head_complete();
    const size_t taken = parser_.feed(bytes.substr(used), *this);
    used += taken;
    if (parser_.failure() == Http1Parser::Failure::kHeadTooLarge) {
      refuse(431, "the request's header fields are larger than this server accepts");
    } else if (parser_.failure() != Http1Parser::Failure::kNone) {
      refuse(400, "the request is not valid HTTP/1.1");
    } else if (!had_head && parser_.head_complete()) {
      on_parsed_head();
    } else if (body_.size() > server_.limits_.body_bytes) {
      refuse(413, "the request body is larger than this server accepts");
    } else if (parser_.complete()) {
      answer_request();
    } else if (taken == 0) {
      break;  // a line that is not whole yet
    }
  }
  parsing_ = false;
  if (!closed_ && phase_ <= Phase::kBody) arm_for_input();
  return used;
}

void HttpConnection::on_body(std::string_view bytes) {
  if (body_.size() <= server_.limits_.body_bytes) body_.append(bytes);
}

void HttpConnection::on_parsed_head() {
  const HttpHead& head = parser_.head();
  if (head.content_length().value_or(0) > server_.limits_.body_bytes) {
    return refuse(413, "the request body is larger than this server accepts");
  }
  if (parser_.complete()) return answer_request();
  phase_ = Phase::kBody;
  const auto expect = head.find("Expect");
  if (expect && equal_ignoring_case(*expect, "100-continue")) send("HTTP/1.1 100 Continue\r\n\r\n");
}

void HttpConnection::answer_request() {
  phase_ = Phase::kAnswering;
  deadline_.disarm();
  keep_alive_ = parser_.head().keep_alive() && !server_.draining_;
  server_.handler_.on_request(exchange_);
}

void HttpConnection::refuse(int status, std::string_view reason) {
  phase_ = Phase::kAnswering;
  keep_alive_ = false;
  refused_ = true;
  const HttpHandler::Refusal refusal = server_.handler_.on_refused(status, reason);
  exchange_.respond(status, refusal.fields, refusal.body);
}

void HttpConnection::on_end_of_input() {
  const bool in_request = phase_ == Phase::kHead || phase_ == Phase::kBody;
  if (!in_request) return client_gone();
  refuse(400, "the connection ended before the request was complete");
}

// --- Answering -------------------------------------------------------------------------------------

std::string HttpConnection::answer_head(int status, std::string_view fields,
                                        std::string_view framing) const {
  std::string head = "HTTP/1.1 ";
  head.append(std::to_string(status)).append(" ").append(status_text(status)).append("\r\n");
  head.append(fields).append(framing);
  if (!keep_alive_) {
    head.append("Connection: close\r\n");
  } else if (parser_.head().minor_version() == 0) {
    head.append("Connection: keep-alive\r\n");
  }
  return head.append("\r\n");
}

void HttpConnection::send(std::string_view first, std::string_view second) {
  if (closed_) return;
  const bool was_empty = output_.size() == 0;
  if (!output_.send(socket_.get(), first, second)) {
    // The handler is in the middle of a call: it learns of the loss from the loop, not from here.
    shutdown(socket_.get(), SHUT_RDWR);
    return;
  }
  if (was_empty && output_.size() > 0) {
    update_watch();
    deadline_.arm(server_.limits_.write_timeout);
  }
}

void HttpConnection::end_answer() {
  observer_ = nullptr;
  phase_ = Phase::kFlushing;
  if (output_.size() == 0) on_flushed();
}

void HttpConnection::on_flushed() {
  deadline_.disarm();
  update_watch();
  if (phase_ == Phase::kAnswering) {
    if (observer_ != nullptr) observer_->on_drained();
    return;
  }
  if (phase_ != Phase::kFlushing) return;
  if (refused_) return linger();
  if (!keep_alive_) return close_now();
  next_request();
}

void HttpConnection::next_request() {
  parser_.reset();
  body_.clear();
  if (body_.capacity() > kKeptBodyBytes) body_.release();
  phase_ = Phase::kIdle;
  chunked_answer_ = false;
  if (server_.draining_ && input_.size() == 0) return close_now();
  if (parsing_) return;  // parse() goes on with what is left
  if (input_.size() > 0) {
    consume_input();
  } else {
    deadline_.arm(server_.limits_.keep_alive_timeout);
  }
}

void HttpConnection::linger() {
  phase_ = Phase::kLingering;
  shutdown(socket_.get(), SHUT_WR);
  deadline_.arm(kLingerTimeout);
}

// --- Time and end ----------------------------------------------------------------------------------

void HttpConnection::update_watch() {
  if (closed_) return;
  uint32_t events = EPOLLRDHUP;
  if (input_.size() <= server_.limits_.pipelined_bytes || phase_ <= Phase::kBody) events |= EPOLLIN;
  if (output_.size() > 0) events |= EPOLLOUT;
  if (events == watched_) return;
  watched_ = events;
  loop_.modify(socket_.get(), events, *this);
}

void HttpConnection::arm_for_input() {
  const HttpServerLimits& limits = server_.limits_;
  switch (phase_) {
    case Phase::kIdle:
      return deadline_.arm(limits.keep_alive_timeout);
    case Phase::kHead:
      return deadline_.arm_sooner(limits.head_timeout);
    default:
      return deadline_.arm(limits.body_timeout);
  }
}

void HttpConnection::on_deadline() {
  switch (phase_) {
    case Phase::kHead:
      return refuse(408, "the request's head did not arrive in time");
    case Phase::kBody:
      return refuse(408, "the request's body did not arrive in time");
    case Phase::kIdle:
    case Phase::kLingering:
      return close_now();
    default:
      return client_gone();  // it does not read its answer
  }
}

void HttpConnection::client_gone() {
  if (closed_) return;
  HttpExchange::Observer* observer = phase_ == Phase::kAnswering ? observer_ : nullptr;
  observer_ = nullptr;
  close_now();
  if (observer != nullptr) observer->on_client_gone();
}

void HttpConnection::close_now() {
  if (closed_) return;
  closed_ = true;
  loop_.unwatch(socket_.get(), *this);
  deadline_.cancel();
  server_.remove(*this);
}

// --- HttpExchange ----------------------------------------------------------------------------------

const HttpHead& HttpExchange::head() const { return connection_.parser_.head(); }
std::string_view HttpExchange::body() const { return connection_.body_.view(); }
void HttpExchange::release_body() { connection_.body_.release(); }
void HttpExchange::set_observer(Observer* observer) { connection_.observer_ = observer; }
size_t HttpExchange::unsent_bytes() const { return connection_.output_.size(); }
bool HttpExchange::client_keeps_alive() const { return connection_.keep_alive_; }

void HttpExchange::respond(int status, std::string_view fields, std::string_view body) {
  const std::string framing = "Content-Length: " + std::to_string(body.size()) + "\r\n";
  const bool head_only = head().method() == "HEAD";
  connection_.send(connection_.answer_head(status, fields, framing), head_only ? "" : body);
  connection_.end_answer();
}

void HttpExchange::start(int status, std::string_view fields) {
  connection_.chunked_answer_ = head().minor_version() >= 1;
  if (!connection_.chunked_answer_) connection_.keep_alive_ = false;
  const char* framing = connection_.chunked_answer_ ? "Transfer-Encoding: chunked\r\n" : "";
  connection_.send(connection_.answer_head(status, fields, framing));
}

void HttpExchange::write(std::string_view piece) {
  if (piece.empty() || head().method() == "HEAD") return;
  if (!connection_.chunked_answer_) return connection_.send(piece);
  char size_line[20];
  const int size_length = std::snprintf(size_line, sizeof size_line, "%zx\r\n", piece.size());
  std::string chunk;
  chunk.reserve(piece.size() + static_cast<size_t>(size_length) + 2);
  chunk.append(size_line, static_cast<size_t>(size_length)).append(piece).append("\r\n");
  connection_.send(chunk);
}

void HttpExchange::finish() {
  if (connection_.chunked_answer_ && head().method() != "HEAD") connection_.send("0\r\n\r\n");
  connection_.end_answer();
}

void HttpExchange::start_raw(std::string_view head, bool keep_alive) {
  connection_.keep_alive_ = connection_.keep_alive_ && keep_alive;
  connection_.send(head);
}

void HttpExchange::write_raw(std::string_view bytes) { connection_.send(bytes); }
void HttpExchange::finish_raw() { connection_.end_answer(); }

void HttpExchange::abort() {
  connection_.observer_ = nullptr;
  connection_.close_now();
}

}  // namespace kvasir

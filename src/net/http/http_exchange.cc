// How a handler answers: HttpExchange over its connection.
#include <cstdio>

#include "net/http/http_connection.h"

namespace kvasir {

const HttpHead& HttpExchange::head() const { return connection_.parser_.head(); }
void HttpExchange::set_target(std::string_view target, std::string_view host) {
  connection_.parser_.set_target(target, host);
}
std::string_view HttpExchange::body() const { return connection_.body_.view(); }
void HttpExchange::release_body() {
  connection_.body_.release();
  connection_.give_body_back();
}
void HttpExchange::set_observer(Observer* observer) { connection_.observer_ = observer; }
size_t HttpExchange::unsent_bytes() const {
  return connection_.transport_.unsent();
}
bool HttpExchange::client_keeps_alive() const { return connection_.keep_alive_; }

void HttpExchange::respond(int status, std::string_view fields, std::string_view body) {
  const bool bodiless = status == 204 || status == 304;
  const std::string framing =
      bodiless ? std::string() : "Content-Length: " + std::to_string(body.size()) + "\r\n";
  const bool head_only = bodiless || head().method() == "HEAD";
  connection_.send(connection_.answer_head(status, fields, framing), head_only ? "" : body);
  connection_.end_answer();
}

void HttpExchange::start(int status, std::string_view fields) {
  const bool bodiless = status == 204 || status == 304;
  connection_.chunked_answer_ = head().minor_version() >= 1 && !bodiless;
  if (!connection_.chunked_answer_ && !bodiless) connection_.keep_alive_ = false;
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
  connection_.transport_.append(head);
}

void HttpExchange::write_raw(std::string_view bytes) { connection_.send(bytes); }
void HttpExchange::finish_raw() { connection_.end_answer(); }

void HttpExchange::abort() {
  connection_.observer_ = nullptr;
  connection_.close_now();
}

}  // namespace kvasir

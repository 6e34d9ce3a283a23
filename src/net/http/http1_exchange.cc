// How a handler answers over HTTP/1.
#include <cstdio>

#include "net/http/http1_connection.h"

namespace kvasir {

void Http1Connection::set_target(std::string_view target, std::string_view host) {
  parser_.set_target(target, host);
}

void Http1Connection::release_body() {
  body_.release();
  give_body_back();
}

void Http1Connection::respond(int status, std::string_view fields, std::string_view body) {
  const bool bodiless = is_bodiless(status);
  const std::string framing =
      bodiless ? std::string() : "Content-Length: " + std::to_string(body.size()) + "\r\n";
  const bool head_only = bodiless || head().method() == "HEAD";
  send(answer_head(status, fields, framing), head_only ? "" : body);
  end_answer();
}

void Http1Connection::start(int status, std::string_view fields) {
  const bool bodiless = is_bodiless(status);
  chunked_answer_ = head().minor_version() >= 1 && !bodiless;
  if (!chunked_answer_ && !bodiless) keep_alive_ = false;
  const char* framing = chunked_answer_ ? "Transfer-Encoding: chunked\r\n" : "";
  send(answer_head(status, fields, framing));
}

void Http1Connection::write(std::string_view piece) {
  if (piece.empty() || head().method() == "HEAD") return;
  if (!chunked_answer_) return send(piece);
  char size_line[20];
  const int size_length = std::snprintf(size_line, sizeof size_line, "%zx\r\n", piece.size());
  std::string chunk;
  chunk.reserve(piece.size() + static_cast<size_t>(size_length) + 2);
  chunk.append(size_line, static_cast<size_t>(size_length)).append(piece).append("\r\n");
  send(chunk);
}

void Http1Connection::finish(std::string_view trailers) {
  const bool has_end = chunked_answer_ && head().method() != "HEAD";
  if (has_end && trailers.empty()) send("0\r\n\r\n");
  if (has_end && !trailers.empty()) send(std::string("0\r\n").append(trailers).append("\r\n"));
  end_answer();
}

void Http1Connection::start_raw(std::string_view head, bool keep_alive) {
  keep_alive_ = keep_alive_ && keep_alive;
  transport_.append(head);
}

size_t Http1Connection::write_raw(std::string_view bytes) {
  send(bytes);
  return transport_.unsent();
}

void Http1Connection::abort() {
  observer_ = nullptr;
  close_now();
}

}  // namespace kvasir

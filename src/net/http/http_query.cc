#include "net/http/http_query.h"

#include <utility>

namespace kvasir {

HttpQuery::HttpQuery(HttpClient& client, const HostPort& origin, size_t body_bytes_max)
    : client_(client), host_(to_string(origin)), body_bytes_max_(body_bytes_max) {}

void HttpQuery::get(std::string_view target, Done done) {
  body_.clear();
  send("GET", target, "", std::move(done));
}

void HttpQuery::post_json(std::string_view target, std::string body, Done done) {
  body_ = std::move(body);
  const std::string fields =
      "Content-Type: application/json\r\nContent-Length: " + std::to_string(body_.size()) + "\r\n";
  send("POST", target, fields, std::move(done));
}

void HttpQuery::send(std::string_view method, std::string_view target, std::string_view fields,
                     Done done) {
  KVASIR_ASSERT(!busy(), "one request at a time");
  done_ = std::move(done);
  answer_ = {};
  request_.assign(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: ").append(host_);
  request_.append("\r\n").append(fields).append("\r\n");
  call_ = &client_.start(request_, body_, *this);
}

void HttpQuery::on_body(std::string_view bytes) {
  answer_.body += bytes;
  if (answer_.body.size() <= body_bytes_max_) return;
  call_->cancel();
  finish(Error{"the answer is larger than " + std::to_string(body_bytes_max_) + " bytes"});
}

void HttpQuery::finish(Result<HttpAnswer> outcome) {
  const Done done = std::exchange(done_, nullptr);
  done(std::move(outcome));
}

}  // namespace kvasir

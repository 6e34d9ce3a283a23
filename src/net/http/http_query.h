// One request whose whole answer is collected: for first requests and metrics pages, not for
// relaying.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/http/http_client.h"
#include "net/io/socket.h"

namespace kvasir {

struct HttpAnswer {
  HttpHead head;
  std::string body;
};

// One request at a time, on the client's loop.
class HttpQuery final : public HttpCallObserver {
 public:
  static constexpr size_t kBodyBytesMax = 16 * 1024 * 1024;
  using Done = std::function<void(Result<HttpAnswer>)>;

  // `client` must outlive the query, and the query its request. `origin` goes into the Host field.
  HttpQuery(HttpClient& client, const HostPort& origin, size_t body_bytes_max = kBodyBytesMax);

  // Calls `done` once; it may begin the next request, but not destroy the query. Precondition:
  // !busy().
  void get(std::string_view target, Done done);
  void post_json(std::string_view target, std::string body, Done done);
  bool busy() const { return done_ != nullptr; }

  void on_head(const HttpHead& head) override { answer_.head = head; }
  void on_body(std::string_view bytes) override;
  void on_end() override { finish(std::move(answer_)); }
  void on_failure(const HttpFailure& failure) override { finish(Error{failure.message}); }

 private:
  void send(std::string_view method, std::string_view target, std::string_view fields, Done done);
  void finish(Result<HttpAnswer> outcome);

  HttpClient& client_;
  const std::string host_;
  const size_t body_bytes_max_;
  std::string request_;
  std::string body_;
  HttpAnswer answer_;
  HttpCall* call_ = nullptr;
  Done done_;
};

}  // namespace kvasir

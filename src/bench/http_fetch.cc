#include "bench/http_fetch.h"

#include "net/event_loop.h"
#include "net/http_client.h"

namespace kvasir {

class HttpFetch final : public HttpCallObserver, public std::enable_shared_from_this<HttpFetch> {
 public:
  HttpFetch(EventLoop& loop, std::function<void(Result<FetchedAnswer>)> fetched)
      : loop_(loop), fetched_(std::move(fetched)) {}
  ~HttpFetch() override { loop_.cancel(timer_); }

  void start(const HostPort& origin, const std::string& path, Duration timeout) {
    const Result<SocketAddress> address = resolve(origin.host, origin.port);
    if (!address) {
      const std::string why = address.error().message;
      timer_ = loop_.after(Duration::zero(), [this, why] { report(Error{why}); });
      return;
    }
    head_ =
        "GET " + path + " HTTP/1.1\r\nHost: " + to_string(origin) + "\r\nConnection: close\r\n\r\n";
    HttpClientLimits limits;
    limits.connect_timeout = limits.first_byte_timeout = limits.idle_timeout = timeout;
    client_ = std::make_unique<HttpClient>(loop_, *address, limits);
    client_->start(head_, {}, *this);
    timer_ = loop_.after(timeout, [this] { report(Error{"no answer in time"}); });
  }

 private:
  static constexpr size_t kBodyBytesMax = 16 * 1024 * 1024;

  void on_head(const HttpHead& head) override { answer_.status = head.status(); }
  void on_body(std::string_view bytes) override {
    if (answer_.body.size() + bytes.size() <= kBodyBytesMax) answer_.body += bytes;
  }
  void on_end() override { report(std::move(answer_)); }
  void on_failure(const HttpFailure& failure) override { report(Error{failure.message}); }

  // The last thing that happens: `fetched` may destroy the handle.
  void report(Result<FetchedAnswer> result) {
    loop_.cancel(timer_);
    timer_ = kNoTimer;
    const auto self = shared_from_this();
    loop_.defer([self] {});
    const auto fetched = std::move(fetched_);
    fetched_ = nullptr;
    if (fetched) fetched(std::move(result));
  }

  EventLoop& loop_;
  std::function<void(Result<FetchedAnswer>)> fetched_;
  std::string head_;
  std::unique_ptr<HttpClient> client_;
  TimerId timer_ = kNoTimer;
  FetchedAnswer answer_;
};

std::shared_ptr<HttpFetch> start_fetch(EventLoop& loop, const HostPort& origin,
                                       const std::string& path, Duration timeout,
                                       std::function<void(Result<FetchedAnswer>)> fetched) {
  auto fetch = std::make_shared<HttpFetch>(loop, std::move(fetched));
  fetch->start(origin, path, timeout);
  return fetch;
}

void run_until(EventLoop& loop, const bool& done) {
  while (!done) loop.run();
}

Result<FetchedAnswer> fetch(EventLoop& loop, const HostPort& origin, const std::string& path,
                            Duration timeout) {
  bool done = false;
  Result<FetchedAnswer> answer = Error{"no answer"};
  const auto handle = start_fetch(loop, origin, path, timeout, [&](Result<FetchedAnswer> result) {
    answer = std::move(result);
    done = true;
    loop.stop();
  });
  run_until(loop, done);
  return answer;
}

Result<std::string> fetch_body(EventLoop& loop, const HostPort& origin, const std::string& path,
                               Duration timeout) {
  const Result<FetchedAnswer> answer = fetch(loop, origin, path, timeout);
  const std::string url = "http://" + to_string(origin) + path;
  if (!answer) return Error{url + ": " + answer.error().message};
  if (answer->status != 200) return Error{url + " answers " + std::to_string(answer->status)};
  return answer->body;
}

}  // namespace kvasir

#include "bench/http_fetch.h"

#include <utility>

#include "net/io/event_loop.h"
#include "net/io/resolver.h"

namespace kvasir {

class HttpFetch final : public std::enable_shared_from_this<HttpFetch> {
 public:
  using Fetched = std::function<void(Result<HttpAnswer>)>;

  HttpFetch(EventLoop& loop, Fetched fetched) : loop_(loop), fetched_(std::move(fetched)) {}
  ~HttpFetch() { loop_.cancel(timer_); }

  void start(Resolver& resolver, const HostPort& origin, const std::string& path,
             Duration timeout) {
    timer_ = loop_.after(timeout, [this] { report(Error{"no answer in time"}); });
    look_up_ =
        resolver.look_up(loop_, origin.host, [this, origin, path, timeout](const auto& addresses) {
          if (!addresses) return report(addresses.error());
          if (addresses->empty()) return report(Error{"the host has no address"});
          ask(with_port(preferred_address(*addresses), origin.port), origin, path, timeout);
        });
  }

 private:
  void ask(const SocketAddress& address, const HostPort& origin, const std::string& path,
           Duration timeout) {
    HttpClientLimits limits;
    limits.connect_timeout = limits.first_byte_timeout = limits.idle_timeout = timeout;
    client_ = std::make_unique<HttpClient>(loop_, address, limits);
    query_ = std::make_unique<HttpQuery>(*client_, origin);
    query_->get(path, [this](Result<HttpAnswer> answer) { report(std::move(answer)); });
  }

  // The last thing that happens: `fetched` may destroy the handle.
  void report(Result<HttpAnswer> result) {
    loop_.cancel(std::exchange(timer_, kNoTimer));
    const auto self = shared_from_this();
    loop_.defer([self] {});
    const Fetched fetched = std::exchange(fetched_, nullptr);
    if (fetched) fetched(std::move(result));
  }

  EventLoop& loop_;
  Fetched fetched_;
  std::unique_ptr<Resolver::LookUp> look_up_;
  std::unique_ptr<HttpClient> client_;
  std::unique_ptr<HttpQuery> query_;
  TimerId timer_ = kNoTimer;
};

std::shared_ptr<HttpFetch> start_fetch(EventLoop& loop, Resolver& resolver, const HostPort& origin,
                                       const std::string& path, Duration timeout,
                                       std::function<void(Result<HttpAnswer>)> fetched) {
  auto fetch = std::make_shared<HttpFetch>(loop, std::move(fetched));
  fetch->start(resolver, origin, path, timeout);
  return fetch;
}

void run_until(EventLoop& loop, const bool& done) {
  while (!done) loop.run();
}

Result<HttpAnswer> fetch(EventLoop& loop, Resolver& resolver, const HostPort& origin,
                         const std::string& path, Duration timeout) {
  bool done = false;
  Result<HttpAnswer> answer = Error{"no answer"};
  const auto handle =
      start_fetch(loop, resolver, origin, path, timeout, [&](Result<HttpAnswer> result) {
        answer = std::move(result);
        done = true;
        loop.stop();
      });
  run_until(loop, done);
  return answer;
}

Result<std::string> fetch_body(EventLoop& loop, Resolver& resolver, const HostPort& origin,
                               const std::string& path, Duration timeout) {
  const Result<HttpAnswer> answer = fetch(loop, resolver, origin, path, timeout);
  const std::string url = "http://" + to_string(origin) + path;
  if (!answer) return Error{url + ": " + answer.error().message};
  const int status = answer->head.status();
  if (status != 200) return Error{url + " answers " + std::to_string(status)};
  return answer->body;
}

}  // namespace kvasir

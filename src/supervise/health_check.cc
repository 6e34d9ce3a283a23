#include "supervise/health_check.h"

namespace kvasir {
namespace {

HttpClientLimits limits() {
  HttpClientLimits limits;
  limits.connect_timeout = std::chrono::seconds(1);
  // A worker that is busy may take its time; one that does not answer at all is waited for anyway.
  limits.first_byte_timeout = std::chrono::seconds(10);
  limits.idle_timeout = std::chrono::seconds(2);
  return limits;
}

constexpr bool is_good(int status) {
  return status >= 200 && status < 300;
}

}  // namespace

Result<std::unique_ptr<HealthCheck>> HealthCheck::start(EventLoop& loop, const HostPort& origin,
                                                        std::function<void()> healthy,
                                                        const std::string& path) {
  const Result<SocketAddress> address = resolve(origin.host, origin.port);
  if (!address) return address.error();
  std::unique_ptr<HealthCheck> check(
      new HealthCheck(loop, *address, origin, std::move(healthy), path));
  check->ask();
  return check;
}

HealthCheck::HealthCheck(EventLoop& loop, const SocketAddress& address, const HostPort& origin,
                         std::function<void()> healthy, const std::string& path)
    : loop_(loop),
      client_(loop, address, limits()),
      request_("GET " + path + " HTTP/1.1\r\nHost: " + to_string(origin) +
               "\r\nConnection: close\r\n\r\n"),
      healthy_(std::move(healthy)) {}

HealthCheck::~HealthCheck() {
  loop_.cancel(timer_);
}

void HealthCheck::ask() {
  client_.start(request_, {}, *this);
}

void HealthCheck::ask_later() {
  timer_ = loop_.after(kInterval, [this] { ask(); });
}

void HealthCheck::on_end() {
  if (is_good(status_)) return healthy_();
  reason_ = "it answers " + std::to_string(status_);
  ask_later();
}

void HealthCheck::on_failure(const HttpFailure& failure) {
  reason_ = failure.message;
  ask_later();
}

}  // namespace kvasir

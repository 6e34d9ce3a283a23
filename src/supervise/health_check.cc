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

HealthCheck::HealthCheck(EventLoop& loop, Resolver& resolver, const HostPort& origin,
                         std::function<void()> healthy, const std::string& path)
    : loop_(loop),
      resolver_(resolver),
      origin_(origin),
      request_("GET " + path + " HTTP/1.1\r\nHost: " + to_string(origin) +
               "\r\nConnection: close\r\n\r\n"),
      healthy_(std::move(healthy)) {
  ask();
}

HealthCheck::~HealthCheck() {
  loop_.cancel(timer_);
}

void HealthCheck::ask() {
  if (client_ != nullptr) {
    client_->start(request_, {}, *this);
  } else {
    look_up_ = resolver_.look_up(loop_, origin_.host,
                                 [this](const auto& addresses) { on_addresses(addresses); });
  }
}

void HealthCheck::on_addresses(const Result<Resolver::Addresses>& addresses) {
  if (!addresses || addresses->empty()) {
    reason_ = addresses ? "its name has no address" : addresses.error().message;
    return ask_later();
  }
  const SocketAddress address = with_port(preferred_address(*addresses), origin_.port);
  client_ = std::make_unique<HttpClient>(loop_, address, limits());
  ask();
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

// Asks a program for GET /health again and again until it answers 200.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/http/http_client.h"
#include "net/io/event_loop.h"
#include "net/io/resolver.h"
#include "net/io/socket.h"

namespace kvasir {

class HealthCheck final : public HttpCallObserver {
 public:
  static constexpr Duration kInterval = std::chrono::milliseconds(50);

  // Begins at once and calls `healthy` one time, which must not destroy the check. A host without
  // an address may get one. `loop` and `resolver` must outlive the check.
  HealthCheck(EventLoop& loop, Resolver& resolver, const HostPort& origin,
              std::function<void()> healthy, const std::string& path = "/health");
  ~HealthCheck() override;

  void on_head(const HttpHead& head) override { status_ = head.status(); }
  void on_end() override;
  void on_failure(const HttpFailure& failure) override;

  // Why it is not healthy, in words: what became of the last question.
  const std::string& reason() const { return reason_; }

 private:
  void ask();
  void on_addresses(const Result<Resolver::Addresses>& addresses);
  void ask_later();

  EventLoop& loop_;
  Resolver& resolver_;
  const HostPort origin_;
  const std::string request_;
  const std::function<void()> healthy_;
  std::unique_ptr<Resolver::LookUp> look_up_;
  std::unique_ptr<HttpClient> client_;  // null: the address is not known yet
  TimerId timer_ = kNoTimer;
  int status_ = 0;
  std::string reason_ = "no answer yet";
};

}  // namespace kvasir

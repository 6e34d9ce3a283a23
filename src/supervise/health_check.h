// Asks a program for GET /health again and again until it answers 200.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "net/http/http_client.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

class HealthCheck final : public HttpCallObserver {
 public:
  static constexpr Duration kInterval = std::chrono::milliseconds(50);

  // Begins at once and calls `healthy` one time, which must not destroy the check. Fails when the
  // host's name cannot be resolved. `loop` must outlive the check.
  static Result<std::unique_ptr<HealthCheck>> start(EventLoop& loop, const HostPort& origin,
                                                    std::function<void()> healthy,
                                                    const std::string& path = "/health");
  ~HealthCheck() override;

  void on_head(const HttpHead& head) override { status_ = head.status(); }
  void on_end() override;
  void on_failure(const HttpFailure& failure) override;

  // Why it is not healthy, in words: what became of the last question.
  const std::string& reason() const { return reason_; }

 private:
  HealthCheck(EventLoop& loop, const SocketAddress& address, const HostPort& origin,
              std::function<void()> healthy, const std::string& path);
  void ask();
  void ask_later();

  EventLoop& loop_;
  HttpClient client_;
  const std::string request_;
  const std::function<void()> healthy_;
  TimerId timer_ = kNoTimer;
  int status_ = 0;
  std::string reason_ = "no answer yet";
};

}  // namespace kvasir

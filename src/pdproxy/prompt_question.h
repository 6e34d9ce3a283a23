// One question to the prefill workers: how many tokens a request's prompt has. They are asked one
// after another until one answers; a client that leaves ends it. Private to pdproxy/.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "legs/worker_call.h"
#include "net/http/http_call.h"
#include "net/http/http_exchange.h"
#include "pdproxy/pd_proxy_options.h"

namespace kvasir {

class EventLoop;

class PromptQuestion final : private HttpCallObserver, private HttpExchange::Observer {
 public:
  struct Answer {
    bool client_left = false;
    std::optional<uint64_t> tokens;  // nullopt: `why` nobody counted them
    std::string why;
    bool unreachable = false;  // no worker could be asked
  };
  // Once, in a later turn; it may destroy the question.
  using Answered = std::function<void(const Answer&)>;

  // What is referred to outlives it; the exchange until it is answered.
  PromptQuestion(EventLoop& loop, WorkerClients& clients, const PdProxyOptions& options,
                 HttpExchange& exchange, std::vector<LegWorker> workers, std::string body,
                 Answered answered);
  ~PromptQuestion() override;

 private:
  void on_head(const HttpHead& head) override { status_ = head.status(); }
  void on_body(std::string_view bytes) override;
  void on_end() override;
  void on_failure(const HttpFailure& failure) override;
  void on_client_gone() override;

  void ask();
  void next(std::string why, bool unreachable);
  void end(const Answer& answer);

  EventLoop& loop_;
  const PdProxyOptions& options_;
  HttpExchange& exchange_;
  const std::vector<LegWorker> workers_;
  const std::string body_, authorization_;
  const Answered answered_;
  size_t at_ = 0;  // which worker is asked
  int status_ = 0;
  std::string answer_;
  TimerId deadline_ = kNoTimer;
  WorkerCall call_;
};

}  // namespace kvasir

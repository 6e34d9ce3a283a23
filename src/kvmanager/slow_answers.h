// Answers that take long because they look at every block: made on a thread of their own, one after
// the other, so that questions about prompts do not wait for them. On the loop's thread.
#pragma once

#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/http/http_exchange.h"
#include "net/io/background_job.h"

namespace kvasir {

class EventLoop;

class SlowAnswers {
 public:
  struct Answer {
    std::string fields;  // of the head
    std::string body;
  };
  // Called on another thread: owns what it needs.
  using Make = std::function<Result<Answer>()>;

  // `loop` must outlive it.
  explicit SlowAnswers(EventLoop& loop) : job_(loop) {}
  ~SlowAnswers();
  SlowAnswers(const SlowAnswers&) = delete;
  SlowAnswers& operator=(const SlowAnswers&) = delete;

  // Answers `exchange` when it is made; at once, with 503, when too many wait.
  void add(HttpExchange& exchange, Make make);

 private:
  static constexpr size_t kWaitingMax = 8;

  class Waiting final : public HttpExchange::Observer {
   public:
    Waiting(HttpExchange& exchange, Make make) : exchange_(&exchange), make_(std::move(make)) {
      exchange.set_observer(this);
    }
    void on_client_gone() override { exchange_ = nullptr; }
    HttpExchange* exchange() const { return exchange_; }
    const Make& make() const { return make_; }

   private:
    HttpExchange* exchange_;
    Make make_;
  };

  void start_next();
  void finish(const Result<Answer>& answer);

  std::list<Waiting> waiting_;  // the first one is being made
  BackgroundJob job_;
};

}  // namespace kvasir

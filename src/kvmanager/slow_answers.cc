#include "kvmanager/slow_answers.h"

#include "kvmanager/answers.h"
#include "net/http/http_status.h"

namespace kvasir {
namespace {

constexpr std::string_view kJsonType = "Content-Type: application/json\r\n";

}  // namespace

SlowAnswers::~SlowAnswers() {
  for (Waiting& waiting : waiting_) {
    if (waiting.exchange() != nullptr) waiting.exchange()->set_observer(nullptr);
  }
}

void SlowAnswers::add(HttpExchange& exchange, Make make) {
  if (waiting_.size() >= kWaitingMax) {
    return exchange.respond(kHttpServiceUnavailable, kJsonType,
                            error_json("too many questions that look at every block: try again"));
  }
  waiting_.emplace_back(exchange, std::move(make));
  if (waiting_.size() == 1) start_next();
}

void SlowAnswers::start_next() {
  while (!waiting_.empty() && waiting_.front().exchange() == nullptr) waiting_.pop_front();
  if (waiting_.empty()) return;
  const bool started = job_.start([this, make = waiting_.front().make()]() -> BackgroundJob::Use {
    return [this, answer = make()] { finish(answer); };
  });
  if (!started) finish(Error{"the system gives no thread"});
}

void SlowAnswers::finish(const Result<Answer>& answer) {
  HttpExchange* const exchange = waiting_.front().exchange();
  waiting_.pop_front();
  if (exchange != nullptr) {
    exchange->set_observer(nullptr);
    if (answer) {
      exchange->respond(kHttpOk, answer->fields, answer->body);
    } else {
      exchange->respond(kHttpServerErrors, kJsonType, error_json(answer.error().message));
    }
  }
  start_next();
}

}  // namespace kvasir

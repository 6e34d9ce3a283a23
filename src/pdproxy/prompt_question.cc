#include "pdproxy/prompt_question.h"

#include <utility>

#include "net/http/http_status.h"
#include "net/io/event_loop.h"
#include "pdproxy/prompt_limit.h"
#include "wire/request/token_question.h"

namespace kvasir {
namespace {

constexpr size_t kQuotedAnswerBytesMost = 256;

}  // namespace

PromptQuestion::PromptQuestion(EventLoop& loop, WorkerClients& clients,
                               const PdProxyOptions& options, HttpExchange& exchange,
                               std::vector<LegWorker> workers, std::string body, Answered answered)
    : loop_(loop),
      options_(options),
      exchange_(exchange),
      workers_(std::move(workers)),
      body_(std::move(body)),
      authorization_(exchange.head().find("Authorization").value_or("")),
      answered_(std::move(answered)),
      call_(clients, *this) {
  exchange_.set_observer(this);
  deadline_ = loop_.after(options_.token_count_timeout, [this] {
    deadline_ = kNoTimer;
    call_.cancel();
    end({false, std::nullopt, "no answer in time", true});
  });
  ask();
}

PromptQuestion::~PromptQuestion() {
  loop_.cancel(deadline_);
}

void PromptQuestion::ask() {
  std::string head = "POST " + std::string(kTokenizePath) +
                     " HTTP/1.1\r\nHost: " + to_string(workers_[at_].address) +
                     "\r\nContent-Type: application/json\r\n";
  if (!authorization_.empty()) head += "Authorization: " + authorization_ + "\r\n";
  head += "Content-Length: " + std::to_string(body_.size()) + "\r\n\r\n";
  answer_.clear();
  call_.start(workers_[at_], std::move(head), body_);
}

void PromptQuestion::on_body(std::string_view bytes) {
  if (answer_.size() + bytes.size() <= options_.token_count_bytes_max) {
    answer_ += bytes;
    return;
  }
  call_.cancel();
  end({false, std::nullopt, "the answer is too large", false});
}

void PromptQuestion::on_end() {
  call_.ended();
  if (status_ >= kHttpServerErrors) return next("status " + std::to_string(status_), true);
  const std::optional<uint64_t> tokens =
      status_ == kHttpOk ? counted_tokens(answer_) : std::nullopt;
  if (tokens) return end({false, tokens, {}, false});
  next("status " + std::to_string(status_) + ": " + answer_.substr(0, kQuotedAnswerBytesMost),
       false);
}

void PromptQuestion::on_failure(const HttpFailure& failure) {
  call_.ended();
  next(failure.message, true);
}

void PromptQuestion::next(std::string why, bool unreachable) {
  if (unreachable && at_ + 1 < workers_.size()) {
    ++at_;
    return ask();
  }
  end({false, std::nullopt, to_string(workers_[at_].address) + ": " + std::move(why), unreachable});
}

void PromptQuestion::on_client_gone() {
  call_.cancel();
  end({true, std::nullopt, {}, false});
}

void PromptQuestion::end(const Answer& answer) {
  loop_.cancel(std::exchange(deadline_, kNoTimer));
  if (!answer.client_left) exchange_.set_observer(nullptr);
  // A copy: what is called may destroy this function.
  const Answered tell = answered_;
  tell(answer);
}

}  // namespace kvasir

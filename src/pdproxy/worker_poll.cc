#include "pdproxy/worker_poll.h"

#include <utility>

#include "net/http/http_status.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

const PageSpecs& vllm_page() {
  static const PageSpecs kSpecs{{*find_engine_metric_specs("vllm")}, {}};
  return kSpecs;
}

}  // namespace

class WorkerPoll::Question final : public HttpCallObserver {
 public:
  Question(WorkerPoll& poll, WorkerClients& clients, LegWorker worker, const Options& options)
      : poll_(poll),
        worker_(std::move(worker)),
        bytes_left_(options.bytes_max),
        call_(clients, *this) {
    if (options.reads_page) reader_.emplace(vllm_page());
    call_.start(
        worker_,
        "GET " + options.target + " HTTP/1.1\r\nHost: " + to_string(worker_.address) + "\r\n\r\n",
        {});
  }

  PolledWorker answer() const { return answer_; }

 private:
  void on_head(const HttpHead& head) override {
    status_ = head.status();
    if (reader_) reader_->start();
  }
  void on_body(std::string_view bytes) override {
    if (bytes.size() > bytes_left_) {
      call_.cancel();
      return poll_.ended();
    }
    bytes_left_ -= bytes.size();
    if (reader_) reader_->feed(bytes);
  }
  void on_end() override {
    call_.ended();
    answer_.status = status_;
    if (reader_ && status_ == kHttpOk) {
      const EnginePage page = reader_->finish();
      if (page.any) answer_.engine = page.metrics;
    }
    poll_.ended();
  }
  void on_failure(const HttpFailure&) override {
    call_.ended();
    poll_.ended();
  }

  WorkerPoll& poll_;
  const LegWorker worker_;
  size_t bytes_left_;
  std::optional<EnginePageReader> reader_;
  int status_ = 0;
  PolledWorker answer_;
  WorkerCall call_;
};

WorkerPoll::WorkerPoll(EventLoop& loop, WorkerClients& clients,
                       const std::vector<LegWorker>& workers, const Options& options, Done done)
    : loop_(loop), done_(std::move(done)), open_(workers.size()) {
  deadline_ = loop.after(workers.empty() ? Duration::zero() : options.timeout, [this] {
    deadline_ = kNoTimer;
    finish();
  });
  for (const LegWorker& worker : workers) {
    questions_.push_back(std::make_unique<Question>(*this, clients, worker, options));
  }
}

WorkerPoll::~WorkerPoll() {
  loop_.cancel(deadline_);
}

void WorkerPoll::ended() {
  if (--open_ == 0) finish();
}

void WorkerPoll::finish() {
  loop_.cancel(std::exchange(deadline_, kNoTimer));
  std::vector<PolledWorker> answers;
  for (const auto& question : questions_) answers.push_back(question->answer());
  // A copy: what is called may destroy this function.
  const Done tell = done_;
  tell(answers);
}

}  // namespace kvasir

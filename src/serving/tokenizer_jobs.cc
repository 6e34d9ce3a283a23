#include "serving/tokenizer_jobs.h"

#include <utility>

namespace kvasir {

BackgroundTokenizerJobs::BackgroundTokenizerJobs(EventLoop& loop, size_t threads_most,
                                                 size_t waiting_most)
    : waiting_most_(waiting_most) {
  for (size_t i = 0; i < threads_most; ++i) jobs_.push_back(std::make_unique<BackgroundJob>(loop));
}

bool BackgroundTokenizerJobs::start(BackgroundJob::Work work) {
  for (const auto& job : jobs_) {
    if (!job->busy()) return run(*job, std::move(work));
  }
  if (waiting_.size() >= waiting_most_) return false;
  waiting_.push_back(std::move(work));
  return true;
}

// What is found dies with its job, so that `this` lives when it is used.
bool BackgroundTokenizerJobs::run(BackgroundJob& job, BackgroundJob::Work work) {
  return job.start([this, &job, work = std::move(work)]() -> BackgroundJob::Use {
    return [this, &job, use = work()] {
      next(job);
      use();
    };
  });
}

void BackgroundTokenizerJobs::next(BackgroundJob& job) {
  while (!waiting_.empty()) {
    BackgroundJob::Work work = std::move(waiting_.front());
    waiting_.pop_front();
    if (run(job, std::move(work))) return;
  }
}

}  // namespace kvasir

// Long texts are tokenized on other threads, a few at once; others wait for them.
//
// Lives on one thread.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "net/io/background_job.h"

namespace kvasir {

class TokenizerJobs {
 public:
  virtual ~TokenizerJobs() = default;
  // Does `work` on another thread and uses what it found on this one. False: too many wait.
  virtual bool start(BackgroundJob::Work work) = 0;
};

class BackgroundTokenizerJobs final : public TokenizerJobs {
 public:
  // `loop` must outlive it.
  BackgroundTokenizerJobs(EventLoop& loop, size_t threads_most, size_t waiting_most);
  bool start(BackgroundJob::Work work) override;

 private:
  bool run(BackgroundJob& job, BackgroundJob::Work work);
  void next(BackgroundJob& job);

  const size_t waiting_most_;
  std::deque<BackgroundJob::Work> waiting_;
  std::vector<std::unique_ptr<BackgroundJob>> jobs_;
};

}  // namespace kvasir

#include "net/io/background_job.h"

#include <mutex>
#include <utility>

#include "net/io/detached_thread.h"
#include "net/io/event_loop.h"

namespace kvasir {

// What work under way shares with its job, which may be gone when the work is done.
struct BackgroundJob::Link {
  std::mutex mutex;
  BackgroundJob* job = nullptr;
  EventLoop* loop = nullptr;
};

BackgroundJob::BackgroundJob(EventLoop& loop) : link_(std::make_shared<Link>()) {
  link_->job = this;
  link_->loop = &loop;
}

BackgroundJob::~BackgroundJob() {
  std::lock_guard<std::mutex> lock(link_->mutex);
  link_->job = nullptr;
}

bool BackgroundJob::start(Work work) {
  if (busy_) return false;
  const auto run = [link = link_, work = std::move(work)] {
    Use use = work();
    std::lock_guard<std::mutex> lock(link->mutex);
    if (link->job == nullptr) return;
    link->loop->post([link, use = std::move(use)] {
      // Destroyed on the loop's thread only, so it cannot go before `use` is called.
      if (link->job == nullptr) return;
      link->job->busy_ = false;
      use();
    });
  };
  busy_ = start_detached_thread(run);
  return busy_;
}

}  // namespace kvasir

#include "feeds/file_watch.h"

#include <algorithm>
#include <optional>
#include <utility>

namespace kvasir {

FileWatch::FileWatch(EventLoop& loop, std::string path, std::string_view content, size_t bytes_max,
                     Duration interval, std::function<void(Result<std::string>)> changed)
    : loop_(loop),
      file_(std::move(path), bytes_max),
      interval_(interval),
      changed_(std::move(changed)) {
  file_.know(content);
  schedule();
}

FileWatch::~FileWatch() {
  loop_.cancel(timer_);
}

void FileWatch::schedule() {
  const Duration pause = file_.unsettled() ? std::min(interval_, kSettleTime) : interval_;
  timer_ = loop_.after(pause, [this] {
    timer_ = kNoTimer;
    look();
    schedule();
  });
}

void FileWatch::look() {
  if (std::optional<Result<std::string>> news = file_.look()) changed_(std::move(*news));
}

}  // namespace kvasir

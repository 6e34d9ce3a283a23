// Tells when the content of a file changed. Looks at it once every interval, which also sees what a
// Kubernetes ConfigMap does: it swaps a symbolic link, so no event names the file.
//
// Lives on its loop's thread.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/event_loop.h"

namespace kvasir {

// The whole file; an error when it cannot be read or is longer than `bytes_max`.
Result<std::string> read_whole_file(const std::string& path, size_t bytes_max);

class FileWatch {
 public:
  // `content`: what the file is known to say. `changed` is given what it says now, or why it cannot
  // be read; the same trouble is told once. `loop` must outlive the watch.
  FileWatch(EventLoop& loop, std::string path, std::string content, size_t bytes_max,
            Duration interval, std::function<void(Result<std::string>)> changed);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // Looks now; otherwise the timer does.
  void look();

 private:
  void schedule();
  bool moved();

  EventLoop& loop_;
  const std::string path_;
  const size_t bytes_max_;
  const Duration interval_;
  const std::function<void(Result<std::string>)> changed_;
  std::string content_;
  std::string trouble_;
  struct stat seen_ {};
  TimerId timer_ = kNoTimer;
};

}  // namespace kvasir

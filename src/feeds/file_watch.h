// Tells when the content of a file changed. Looks at it once every interval, which also sees what a
// Kubernetes ConfigMap does: it swaps a symbolic link, so no event names the file.
//
// A file that is being written is not told half: new content counts when two looks in a row found
// it. Lives on its loop's thread.
#pragma once

#include <sys/stat.h>

#include <functional>
#include <optional>
#include <string>

#include "base/clock.h"
#include "base/result.h"
#include "net/io/event_loop.h"

namespace kvasir {

class FileWatch {
 public:
  // Between the look that finds new content and the one that confirms it.
  static constexpr Duration kSettleTime = std::chrono::milliseconds(100);

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
  std::string content_;                // as it was told last
  std::optional<std::string> unsettled_;  // other content, seen once
  std::string trouble_;
  struct stat seen_ {};
  TimerId timer_ = kNoTimer;
};

}  // namespace kvasir

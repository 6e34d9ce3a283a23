// Tells when the content of a file changed and has settled (base/settled_file.h). Looks at it once
// every interval. Lives on its loop's thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/result.h"
#include "base/settled_file.h"
#include "net/io/event_loop.h"

namespace kvasir {

class FileWatch {
 public:
  // Between the look that finds new content and the one that confirms it.
  static constexpr Duration kSettleTime = std::chrono::milliseconds(100);

  // `content`: what the file is known to say. `changed` is given what it says now, or why it cannot
  // be read; the same trouble is told once. `loop` must outlive the watch.
  FileWatch(EventLoop& loop, std::string path, std::string_view content, size_t bytes_max,
            Duration interval, std::function<void(Result<std::string>)> changed);
  ~FileWatch();
  FileWatch(const FileWatch&) = delete;
  FileWatch& operator=(const FileWatch&) = delete;

  // Looks now; otherwise the timer does.
  void look();

 private:
  void schedule();

  EventLoop& loop_;
  SettledFile file_;
  const Duration interval_;
  const std::function<void(Result<std::string>)> changed_;
  TimerId timer_ = kNoTimer;
};

}  // namespace kvasir

// Writes lines to a file or a pipe without ever making the writer of a line wait: lines are
// gathered in memory and a thread of its own writes them out. When that falls behind, lines are
// dropped and counted. Thread-safe.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/clock.h"
#include "base/result.h"

namespace kvasir {

struct LineWriterLimits {
  size_t pending_bytes_max = 8 * 1024 * 1024;  // not written yet; beyond it lines are dropped
  // How long a line may wait for company: the thread is woken by time or by an eighth of those
  // bytes, not by each line.
  Duration gather = std::chrono::milliseconds(50);
  // At the end, for what is pending.
  Duration flush_timeout = std::chrono::seconds(1);
  // Before a write, but not more often, it is looked whether a file's path names another file now.
  Duration path_check_interval = std::chrono::seconds(1);
};

class LineWriter {
 public:
  // Called by the thread whenever it has written: may append lines of its own. `dropped`: lines so
  // far. Returns whether it wants to be called again in a while, lines or not.
  using Afterthought = std::function<bool(uint64_t dropped, std::string& lines)>;

  // "": standard error; "-": standard output; else a file, which is appended to. When that is
  // renamed or deleted (logrotate), the lines go to the file that the path names then, which is
  // made when there is none.
  static Result<std::unique_ptr<LineWriter>> open(const std::string& path,
                                                  const LineWriterLimits& limits = {});
  // `descriptor` is borrowed unless `owned`. Without an afterthought the log says once that lines
  // of `name` are dropped.
  LineWriter(int descriptor, bool owned, std::string name, const LineWriterLimits& limits = {},
             Afterthought afterthought = nullptr);
  // Writes what is pending, unless that takes too long.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // `line` ends with a line end. Copies it, or drops it.
  void write(std::string_view line);
  // Whoever renamed the file says so: the path is looked at now, and not within the interval.
  void reopen();
  // Waits until what is pending is written; false: that took longer than `timeout`.
  bool flush(Duration timeout);

  uint64_t lines() const;  // taken, not dropped
  uint64_t dropped() const;

 private:
  class Output;
  LineWriter(std::shared_ptr<Output> output, Duration flush_timeout);

  // The thread's too: it may be stuck in a write that never returns, and then outlives us.
  const std::shared_ptr<Output> output_;
  const Duration flush_timeout_;
  std::thread thread_;
};

}  // namespace kvasir

// Writes lines to a file or a pipe without ever making the writer of a line wait: lines are
// gathered in memory and a thread of its own writes them out. When that falls behind, lines are
// dropped and counted; the log says so once. Thread-safe.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
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
};

class LineWriter {
 public:
  // "": standard error; "-": standard output; else a file, which is appended to.
  static Result<std::unique_ptr<LineWriter>> open(const std::string& path,
                                                  const LineWriterLimits& limits = {});
  // `descriptor` is borrowed unless `owned`.
  LineWriter(int descriptor, bool owned, std::string name, const LineWriterLimits& limits = {});
  // Writes what is pending, unless that takes too long.
  ~LineWriter();
  LineWriter(const LineWriter&) = delete;
  LineWriter& operator=(const LineWriter&) = delete;

  // `line` ends with a line end. Copies it, or drops it.
  void write(std::string_view line);

  uint64_t lines() const { return lines_.load(std::memory_order_relaxed); }  // taken, not dropped
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  void run();
  void write_out(std::string_view bytes);
  bool wait_until_writable();
  void say_once(const std::string& what);

  const int descriptor_;
  const bool owned_;
  const std::string name_;
  const LineWriterLimits limits_;
  bool regular_ = false;  // a file: it takes everything at once
  bool said_ = false;     // of the thread
  std::atomic<uint64_t> lines_{0};
  std::atomic<uint64_t> dropped_{0};
  std::atomic<bool> stopping_{false};
  TimePoint give_up_{};  // once stopping
  std::mutex mutex_;
  std::condition_variable wake_;
  std::string pending_;
  std::thread thread_;
};

}  // namespace kvasir

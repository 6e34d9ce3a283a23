#include "telemetry/line_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <cstring>
#include <mutex>
#include <utility>

#include "base/signals_blocked.h"
#include "telemetry/log.h"

namespace kvasir {
namespace {

// What a pipe that is writable takes without blocking (PIPE_BUF).
constexpr size_t kPipeBytes = 4096;
constexpr int kPollMs = 100;
// Pending bytes do not wait for company once they are this share of what there is room for.
constexpr size_t kHurryShare = 8;
// An afterthought that asked for it is called again so soon.
constexpr Duration kAfterthoughtInterval = std::chrono::milliseconds(250);
// At the end, for a write that is under way.
constexpr Duration kLastWrite = std::chrono::seconds(1);

uint64_t line_count(std::string_view bytes) {
  return static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

// The longest piece that a pipe takes at once. It ends with a line where it can: others may write
// to the same pipe.
size_t piece_size(std::string_view bytes) {
  if (bytes.size() <= kPipeBytes) return bytes.size();
  const size_t end = bytes.rfind('\n', kPipeBytes - 1);
  return end == std::string_view::npos ? kPipeBytes : end + 1;
}

// -1, with errno: it cannot be opened.
int open_to_append(const std::string& path) {
  // O_NONBLOCK: a FIFO's reader is not waited for.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  return ::open(path.c_str(), kFlags, 0640);
}

bool is_regular_file(int descriptor) {
  struct stat status {};
  return fstat(descriptor, &status) == 0 && S_ISREG(status.st_mode);
}

}  // namespace

class LineWriter::Output {
 public:
  // `by_path`: the name is the path that it was opened by.
  Output(int descriptor, bool owned, std::string name, const LineWriterLimits& limits,
         Afterthought afterthought, bool by_path)
      : descriptor_(descriptor),
        owned_(owned),
        name_(std::move(name)),
        limits_(limits),
        afterthought_(std::move(afterthought)),
        regular_(is_regular_file(descriptor)),
        follows_path_(by_path && regular_),
        path_checked_(SteadyClock().now()) {}
  ~Output() {
    if (owned_) close(descriptor_);
  }
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  void write(std::string_view line) {
    {
      std::lock_guard<std::mutex> lock(mutex_);
      const size_t before = pending_.size();
      if (before + line.size() <= limits_.pending_bytes_max) {
        pending_.append(line);
        ++lines_;
        const size_t hurry = hurry_bytes();
        if (before == 0 || (before < hurry && pending_.size() >= hurry)) wake_.notify_one();
        return;
      }
    }
    ++dropped_;
  }

  void reopen() {
    std::lock_guard<std::mutex> lock(mutex_);
    reopen_ = true;
    hurry_ = true;
    wake_.notify_one();
  }

  bool flush(Duration timeout) {
    std::unique_lock<std::mutex> lock(mutex_);
    hurry_ = true;
    wake_.notify_one();
    return written_.wait_for(lock, timeout, [this] { return pending_.empty() && !writing_; });
  }

  // Whether the thread has ended, or will in a moment.
  bool stop(Duration timeout) {
    std::unique_lock<std::mutex> lock(mutex_);
    give_up_ = SteadyClock().now() + timeout;
    stopping_ = true;
    wake_.notify_one();
    return written_.wait_for(lock,
                             timeout + Duration(std::chrono::milliseconds(kPollMs)) + kLastWrite,
                             [this] { return ended_; });
  }

  // The thread.
  void run() {
    std::string bytes;
    bool again = false;  // the afterthought wants it
    for (bool last = false; !last;) {
      last = wait_for_lines(again, bytes);
      write_out(bytes);
      bytes.clear();
      if (afterthought_) {
        again = afterthought_(dropped_, bytes);
        lines_ += line_count(bytes);
        write_out(bytes);
        bytes.clear();
      } else if (dropped_ > 0) {
        say_once("it is too slow");
      }
      std::lock_guard<std::mutex> lock(mutex_);
      writing_ = false;
      ended_ = last;
      written_.notify_all();
    }
  }

  std::atomic<uint64_t> lines_{0};
  std::atomic<uint64_t> dropped_{0};

 private:
  size_t hurry_bytes() const { return limits_.pending_bytes_max / kHurryShare; }

  // Takes what is pending into `bytes`. Returns whether it is the last time.
  bool wait_for_lines(bool again, std::string& bytes) {
    std::unique_lock<std::mutex> lock(mutex_);
    const auto any = [this] { return stopping_ || hurry_ || !pending_.empty(); };
    if (again) {
      wake_.wait_for(lock, kAfterthoughtInterval, any);
    } else {
      wake_.wait(lock, any);
    }
    wake_.wait_for(lock, pending_.empty() ? Duration::zero() : limits_.gather,
                   [this] { return stopping_ || hurry_ || pending_.size() >= hurry_bytes(); });
    hurry_ = false;
    bytes.swap(pending_);
    writing_ = true;
    return stopping_;
  }

  void write_out(std::string_view bytes) {
    if (follows_path_ && (!bytes.empty() || reopen_)) follow_path();
    while (!bytes.empty()) {
      if (!regular_ && !wait_until_writable()) break;
      const ssize_t written =
          ::write(descriptor_, bytes.data(), regular_ ? bytes.size() : piece_size(bytes));
      if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
      if (written < 0) {
        if (!afterthought_) say_once(std::strerror(errno));
        break;
      }
      bytes.remove_prefix(static_cast<size_t>(written));
    }
    if (bytes.empty()) return;
    dropped_ += line_count(bytes);
    lines_ -= line_count(bytes);
  }

  // Who renames or deletes the file leaves another one in its place, or none.
  void follow_path() {
    const TimePoint now = SteadyClock().now();
    if (!reopen_.exchange(false) && now - path_checked_ < limits_.path_check_interval) return;
    path_checked_ = now;
    struct stat held {};
    struct stat named {};
    if (fstat(descriptor_, &held) != 0) return;
    const bool there = stat(name_.c_str(), &named) == 0;
    if (there && named.st_dev == held.st_dev && named.st_ino == held.st_ino) return;
    const int opened = open_to_append(name_);
    if (opened < 0) return keep_old_file(std::strerror(errno));
    if (!is_regular_file(opened)) {
      close(opened);
      return keep_old_file("it is no regular file");
    }
    close(std::exchange(descriptor_, opened));
    said_kept_ = false;
  }

  void keep_old_file(const std::string& why) {
    if (std::exchange(said_kept_, true)) return;
    log_warning(name_ + " was renamed or deleted and cannot be opened anew (" + why +
                "): its lines go on into the file before");
  }

  // False: the end has come and it still takes nothing.
  bool wait_until_writable() {
    for (;;) {
      pollfd poller{descriptor_, POLLOUT, 0};
      if (poll(&poller, 1, kPollMs) > 0) return true;
      if (stopping_ && SteadyClock().now() >= give_up_) return false;
    }
  }

  void say_once(const std::string& what) {
    if (std::exchange(said_, true)) return;
    log_warning("lines for " + name_ + " are dropped: " + what);
  }

  int descriptor_;  // of the thread, once it runs
  const bool owned_;
  const std::string name_;
  const LineWriterLimits limits_;
  const Afterthought afterthought_;  // null: none
  const bool regular_;               // a file: it takes everything at once
  const bool follows_path_;          // name_ is the path of this file
  TimePoint path_checked_;           // here and below of the thread
  bool said_kept_ = false;           // that the file before is kept
  bool said_ = false;
  std::atomic<bool> reopen_{false};
  std::atomic<bool> stopping_{false};
  TimePoint give_up_{};  // set before stopping_
  std::mutex mutex_;
  std::condition_variable wake_;     // the thread
  std::condition_variable written_;  // who waits for it
  std::string pending_;              // here and below under mutex_
  bool hurry_ = false;               // somebody waits in flush()
  bool writing_ = false;             // what was pending is in the thread's hands
  bool ended_ = false;
};

Result<std::unique_ptr<LineWriter>> LineWriter::open(const std::string& path,
                                                     const LineWriterLimits& limits) {
  if (path.empty())
    return std::make_unique<LineWriter>(STDERR_FILENO, false, "standard error", limits);
  if (path == "-")
    return std::make_unique<LineWriter>(STDOUT_FILENO, false, "standard output", limits);
  const int descriptor = open_to_append(path);
  if (descriptor < 0 && errno == ENXIO) return Error{path + ": nobody reads this pipe"};
  if (descriptor < 0) return Error{path + ": " + std::strerror(errno)};
  return std::unique_ptr<LineWriter>(
      new LineWriter(std::make_shared<Output>(descriptor, true, path, limits, nullptr, true),
                     limits.flush_timeout));
}

LineWriter::LineWriter(int descriptor, bool owned, std::string name, const LineWriterLimits& limits,
                       Afterthought afterthought)
    : LineWriter(std::make_shared<Output>(descriptor, owned, std::move(name), limits,
                                          std::move(afterthought), false),
                 limits.flush_timeout) {}

LineWriter::LineWriter(std::shared_ptr<Output> output, Duration flush_timeout)
    : output_(std::move(output)), flush_timeout_(flush_timeout) {
  const SignalsBlocked blocked;
  thread_ = std::thread([output = output_] { output->run(); });
}

LineWriter::~LineWriter() {
  if (output_->stop(flush_timeout_)) {
    thread_.join();
  } else {
    thread_.detach();
  }
}

void LineWriter::write(std::string_view line) {
  output_->write(line);
}

void LineWriter::reopen() {
  output_->reopen();
}

bool LineWriter::flush(Duration timeout) {
  return output_->flush(timeout);
}

uint64_t LineWriter::lines() const {
  return output_->lines_.load(std::memory_order_relaxed);
}

uint64_t LineWriter::dropped() const {
  return output_->dropped_.load(std::memory_order_relaxed);
}

}  // namespace kvasir

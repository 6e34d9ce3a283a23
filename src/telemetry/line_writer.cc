#include "telemetry/line_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <condition_variable>
#include <csignal>
#include <cstring>
#include <mutex>
#include <utility>

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

// While it lives, threads that are started handle no signal: a pipe without a reader is an error of
// write(), not the end of the program; and SIGTERM is for the thread that waits for it.
class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace

class LineWriter::Output {
 public:
  Output(int descriptor, bool owned, std::string name, const LineWriterLimits& limits,
         Afterthought afterthought)
      : descriptor_(descriptor),
        owned_(owned),
        name_(std::move(name)),
        limits_(limits),
        afterthought_(std::move(afterthought)) {
    struct stat status {};
    regular_ = fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  }
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

  const int descriptor_;
  const bool owned_;
  const std::string name_;
  const LineWriterLimits limits_;
  const Afterthought afterthought_;  // null: none
  bool regular_ = false;             // a file: it takes everything at once
  bool said_ = false;                // of the thread
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
  // O_NONBLOCK: a FIFO's reader is not waited for.
  constexpr int kFlags = O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  const int descriptor = ::open(path.c_str(), kFlags, 0640);
  if (descriptor < 0 && errno == ENXIO) return Error{path + ": nobody reads this pipe"};
  if (descriptor < 0) return Error{path + ": " + std::strerror(errno)};
  return std::make_unique<LineWriter>(descriptor, true, path, limits);
}

LineWriter::LineWriter(int descriptor, bool owned, std::string name, const LineWriterLimits& limits,
                       Afterthought afterthought)
    : output_(std::make_shared<Output>(descriptor, owned, std::move(name), limits,
                                       std::move(afterthought))),
      flush_timeout_(limits.flush_timeout) {
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

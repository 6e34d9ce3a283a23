#include "telemetry/line_writer.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>

#include "telemetry/log.h"

namespace kvasir {
namespace {

// What a pipe that is writable takes without blocking (PIPE_BUF).
constexpr size_t kPipeBytes = 4096;
constexpr int kPollMs = 100;
// Pending bytes do not wait for company once they are this share of what there is room for.
constexpr size_t kHurryShare = 8;

uint64_t line_count(std::string_view bytes) {
  return static_cast<uint64_t>(std::count(bytes.begin(), bytes.end(), '\n'));
}

// A pipe without a reader is an error of write(), not the end of the program; and SIGTERM is for the thread that waits
// for it.
void block_signals() {
  sigset_t signals;
  sigfillset(&signals);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
}

}  // namespace

Result<std::unique_ptr<LineWriter>> LineWriter::open(const std::string& path,
                                                     const LineWriterLimits& limits) {
  if (path.empty())
    return std::make_unique<LineWriter>(STDERR_FILENO, false, "standard error", limits);
  if (path == "-")
    return std::make_unique<LineWriter>(STDOUT_FILENO, false, "standard output", limits);
  const int descriptor = ::open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
  if (descriptor < 0) return Error{path + ": " + std::strerror(errno)};
  return std::make_unique<LineWriter>(descriptor, true, path, limits);
}

LineWriter::LineWriter(int descriptor, bool owned, std::string name, const LineWriterLimits& limits)
    : descriptor_(descriptor), owned_(owned), name_(std::move(name)), limits_(limits) {
  struct stat status {};
  regular_ = fstat(descriptor_, &status) == 0 && S_ISREG(status.st_mode);
  thread_ = std::thread([this] { run(); });
}

LineWriter::~LineWriter() {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    give_up_ = SteadyClock().now() + limits_.flush_timeout;
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
  if (owned_) close(descriptor_);
}

void LineWriter::write(std::string_view line) {
  {
    std::lock_guard<std::mutex> lock(mutex_);
    const size_t before = pending_.size();
    if (before + line.size() <= limits_.pending_bytes_max) {
      pending_.append(line);
      lines_.fetch_add(1, std::memory_order_relaxed);
      const size_t hurry = limits_.pending_bytes_max / kHurryShare;
      if (before < hurry && pending_.size() >= hurry) wake_.notify_one();
      return;
    }
  }
  dropped_.fetch_add(1, std::memory_order_relaxed);
}

void LineWriter::run() {
  block_signals();
  std::string bytes;
  for (bool last = false; !last;) {
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait_for(lock, limits_.gather, [this] {
        return stopping_ || pending_.size() >= limits_.pending_bytes_max / kHurryShare;
      });
      last = stopping_;
      bytes.swap(pending_);
    }
    if (dropped_ > 0) say_once("it is too slow");
    write_out(bytes);
    bytes.clear();
  }
}

void LineWriter::write_out(std::string_view bytes) {
  while (!bytes.empty()) {
    if (!regular_ && !wait_until_writable()) break;
    const size_t size = regular_ ? bytes.size() : std::min(bytes.size(), kPipeBytes);
    const ssize_t written = ::write(descriptor_, bytes.data(), size);
    if (written < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (written < 0) {
      say_once(std::strerror(errno));
      break;
    }
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  if (bytes.empty()) return;
  dropped_.fetch_add(line_count(bytes), std::memory_order_relaxed);
  lines_.fetch_sub(line_count(bytes), std::memory_order_relaxed);
}

// False: the end has come and it still takes nothing.
bool LineWriter::wait_until_writable() {
  for (;;) {
    pollfd poller{descriptor_, POLLOUT, 0};
    if (poll(&poller, 1, kPollMs) > 0) return true;
    if (stopping_ && SteadyClock().now() >= give_up_) return false;
  }
}

void LineWriter::say_once(const std::string& what) {
  if (std::exchange(said_, true)) return;
  log_warning("lines for " + name_ + " are dropped: " + what);
}

}  // namespace kvasir

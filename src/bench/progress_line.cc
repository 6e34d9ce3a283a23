#include "bench/progress_line.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cstdio>

namespace kvasir {
namespace {

constexpr size_t kBarWidth = 20;
constexpr Duration kTerminalInterval = std::chrono::milliseconds(500);
constexpr Duration kPlainInterval = std::chrono::seconds(10);

}  // namespace

std::string progress_text(const std::string& label, const ReplayProgress& progress,
                          Duration elapsed) {
  const size_t filled =
      progress.total == 0 ? kBarWidth : kBarWidth * progress.done / progress.total;
  return fmt::format("{}{}[{}{}] {}/{} done, {} sent, {} errors, {} in flight, {:.0f} s", label,
                     label.empty() ? "" : " ", std::string(filled, '#'),
                     std::string(kBarWidth - filled, '.'), progress.done, progress.total,
                     progress.sent, progress.errors, progress.in_flight(), to_seconds(elapsed));
}

ProgressLine::ProgressLine(std::string label)
    : label_(std::move(label)), terminal_(isatty(STDERR_FILENO) == 1) {}

void ProgressLine::show(const ReplayProgress& progress, TimePoint now) {
  if (!start_) {
    start_ = now;
    next_ = now + (terminal_ ? Duration::zero() : kPlainInterval);
  }
  if (now < next_) return;
  next_ = now + (terminal_ ? kTerminalInterval : kPlainInterval);
  write(progress, now);
}

void ProgressLine::finish(const ReplayProgress& progress, TimePoint now) {
  write(progress, now);
  if (terminal_) std::fputc('\n', stderr);
}

void ProgressLine::write(const ReplayProgress& progress, TimePoint now) {
  const std::string text = progress_text(label_, progress, now - start_.value_or(now));
  std::fprintf(stderr, terminal_ ? "\r%s\033[K" : "%s\n", text.c_str());
  std::fflush(stderr);
}

}  // namespace kvasir

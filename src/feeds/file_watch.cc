#include "feeds/file_watch.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/whole_file.h"

namespace kvasir {
namespace {

constexpr time_t kYoungSeconds = 3;

bool is_same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

}  // namespace

FileWatch::FileWatch(EventLoop& loop, std::string path, std::string content, size_t bytes_max,
                     Duration interval, std::function<void(Result<std::string>)> changed)
    : loop_(loop),
      path_(std::move(path)),
      bytes_max_(bytes_max),
      interval_(interval),
      changed_(std::move(changed)),
      content_(std::move(content)) {
  schedule();
}

FileWatch::~FileWatch() {
  loop_.cancel(timer_);
}

void FileWatch::schedule() {
  const Duration pause = unsettled_ ? std::min(interval_, kSettleTime) : interval_;
  timer_ = loop_.after(pause, [this] {
    timer_ = kNoTimer;
    look();
    schedule();
  });
}

// Whether the file may say something else than it did. A file that was written a moment ago may be
// written again within the same tick of its clock: one that is young counts as moved. Whoever
// writes a file can set its time of modification (tar, touch -r), but not the time of its last
// change.
bool FileWatch::moved() {
  struct stat now {};
  if (stat(path_.c_str(), &now) != 0) return true;
  const bool same = now.st_ino == seen_.st_ino && now.st_size == seen_.st_size &&
                    is_same_time(now.st_mtim, seen_.st_mtim) &&
                    is_same_time(now.st_ctim, seen_.st_ctim);
  seen_ = now;
  timespec clock{};
  clock_gettime(CLOCK_REALTIME, &clock);
  const time_t written = std::max(now.st_mtim.tv_sec, now.st_ctim.tv_sec);
  return !same || clock.tv_sec - written < kYoungSeconds;
}

void FileWatch::look() {
  if (!moved() && !unsettled_) return;
  Result<std::string> text = read_whole_file(path_, bytes_max_);
  if (!text) {
    unsettled_.reset();
    if (std::exchange(trouble_, text.error().message) != trouble_) changed_(std::move(text));
    return;
  }
  trouble_.clear();
  if (*text == content_) return unsettled_.reset();
  if (unsettled_ != *text) {
    unsettled_ = std::move(*text);
    return;
  }
  unsettled_.reset();
  content_ = *text;
  changed_(std::move(text));
}

}  // namespace kvasir

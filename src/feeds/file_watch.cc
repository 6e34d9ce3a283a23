#include "feeds/file_watch.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "net/socket.h"

namespace kvasir {

Result<std::string> read_whole_file(const std::string& path, size_t bytes_max) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.open()) return Error{"cannot read " + path + ": " + std::strerror(errno)};
  std::string text;
  for (char buffer[16 * 1024];;) {
    const ssize_t count = read(file.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return Error{"cannot read " + path + ": " + std::strerror(errno)};
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > bytes_max) {
      return Error{path + " is longer than " + std::to_string(bytes_max) + " bytes"};
    }
  }
}

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
  timer_ = loop_.after(interval_, [this] {
    timer_ = kNoTimer;
    look();
    schedule();
  });
}

// Whether the file may say something else than it did. A file that was written a moment ago may be
// written again within the same tick of its clock: one that is young counts as moved.
bool FileWatch::moved() {
  struct stat now {};
  if (stat(path_.c_str(), &now) != 0) return true;
  const bool same = now.st_ino == seen_.st_ino && now.st_size == seen_.st_size &&
                    now.st_mtim.tv_sec == seen_.st_mtim.tv_sec &&
                    now.st_mtim.tv_nsec == seen_.st_mtim.tv_nsec;
  seen_ = now;
  timespec clock{};
  clock_gettime(CLOCK_REALTIME, &clock);
  return !same || clock.tv_sec - now.st_mtim.tv_sec < 3;
}

void FileWatch::look() {
  if (!moved()) return;
  Result<std::string> text = read_whole_file(path_, bytes_max_);
  if (!text) {
    if (std::exchange(trouble_, text.error().message) != trouble_) changed_(std::move(text));
    return;
  }
  trouble_.clear();
  if (*text == content_) return;
  content_ = *text;
  changed_(std::move(text));
}

}  // namespace kvasir

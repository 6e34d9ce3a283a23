#include "base/settled_file.h"

#include <algorithm>
#include <ctime>
#include <functional>
#include <utility>

#include "base/whole_file.h"

namespace kvasir {
namespace {

constexpr time_t kYoungSeconds = 3;

bool is_same_time(const timespec& a, const timespec& b) {
  return a.tv_sec == b.tv_sec && a.tv_nsec == b.tv_nsec;
}

uint64_t hash_of(std::string_view content) {
  return std::hash<std::string_view>()(content);
}

}  // namespace

SettledFile::SettledFile(std::string path, size_t bytes_max)
    : path_(std::move(path)), bytes_max_(bytes_max) {}

void SettledFile::know(std::string_view content) {
  known_ = hash_of(content);
}

// Whether the file may say something else than it did. A file that was written a moment ago may be
// written again within the same tick of its clock: one that is young counts as moved. Whoever
// writes a file can set its time of modification (tar, touch -r), but not the time of its last
// change.
bool SettledFile::moved() {
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

std::optional<Result<std::string>> SettledFile::look() {
  if (!moved() && !unsettled_) return std::nullopt;
  Result<std::string> text = read_whole_file(path_, bytes_max_);
  if (!text) {
    unsettled_.reset();
    if (std::exchange(trouble_, text.error().message) == trouble_) return std::nullopt;
    return text;
  }
  trouble_.clear();
  const uint64_t hash = hash_of(*text);
  if (known_ == hash) {
    unsettled_.reset();
    return std::nullopt;
  }
  if (std::exchange(unsettled_, hash) != hash) return std::nullopt;
  unsettled_.reset();
  known_ = hash;
  return text;
}

}  // namespace kvasir

#include "base/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

namespace kvasir {
namespace {

class OpenFile {
 public:
  // O_NONBLOCK: opening a FIFO does not wait for its writer.
  explicit OpenFile(const std::string& path)
      : descriptor_(open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)) {}
  ~OpenFile() {
    if (descriptor_ >= 0) close(descriptor_);
  }
  OpenFile(const OpenFile&) = delete;
  OpenFile& operator=(const OpenFile&) = delete;

  int get() const { return descriptor_; }

 private:
  const int descriptor_;
};

Error unreadable(const std::string& path, int code) {
  return Error{"cannot read " + path + ": " + std::strerror(code)};
}

const char* kind_of(mode_t mode) {
  if (S_ISDIR(mode)) return "a directory";
  if (S_ISFIFO(mode)) return "a pipe";
  if (S_ISSOCK(mode)) return "a socket";
  if (S_ISCHR(mode) || S_ISBLK(mode)) return "a device";
  return "something else";
}

Result<void> check_kind(const std::string& path, const struct stat& status) {
  if (S_ISREG(status.st_mode)) return {};
  return Error{"cannot read " + path + ": it is " + kind_of(status.st_mode) +
               ", and only regular files are read"};
}

}  // namespace

Result<void> check_regular_file(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) != 0) return unreadable(path, errno);
  return check_kind(path, status);
}

Result<std::string> read_whole_file(const std::string& path, size_t bytes_max) {
  // Before it is opened too: opening alone does something to some devices.
  if (const Result<void> regular = check_regular_file(path); !regular) return regular.error();
  const OpenFile file(path);
  if (file.get() < 0) return unreadable(path, errno);
  struct stat status {};
  if (fstat(file.get(), &status) != 0) return unreadable(path, errno);
  if (const Result<void> regular = check_kind(path, status); !regular) return regular.error();

  std::string text;
  text.reserve(
      std::min<size_t>(static_cast<size_t>(std::max<off_t>(status.st_size, 0)), bytes_max));
  for (char buffer[16 * 1024];;) {
    const ssize_t count = read(file.get(), buffer, sizeof buffer);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return unreadable(path, errno);
    if (count == 0) return text;
    text.append(buffer, static_cast<size_t>(count));
    if (text.size() > bytes_max) {
      return Error{path + " is longer than " + std::to_string(bytes_max) + " bytes"};
    }
  }
}

}  // namespace kvasir

#include "base/whole_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
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

Error unwritable(const std::string& path) {
  return Error{"cannot write " + path + ": " + std::strerror(errno)};
}

// A rename would put a file in the place of, say, /dev/null.
Error irreplaceable(const std::string& path, mode_t mode) {
  return Error{"cannot write " + path + ": it is " + kind_of(mode) +
               ", and only regular files are replaced"};
}

bool write_all(int file, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t written = write(file, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(written));
  }
  return true;
}

}  // namespace

Result<void> replace_file(const std::string& path, std::string_view bytes) {
  struct stat status {};
  const bool exists = stat(path.c_str(), &status) == 0;
  if (exists && !S_ISREG(status.st_mode)) return irreplaceable(path, status.st_mode);
  std::string unfinished = path + ".XXXXXX";
  const int file = mkostemp(unfinished.data(), O_CLOEXEC);
  if (file < 0) return unwritable(path);
  bool done = !exists || fchmod(file, status.st_mode & 0777) == 0;
  done = done && write_all(file, bytes) && fsync(file) == 0;
  done = close(file) == 0 && done;
  if (done && std::rename(unfinished.c_str(), path.c_str()) == 0) return {};
  const Error error = unwritable(path);
  unlink(unfinished.c_str());
  return error;
}

Result<void> check_replaceable(const std::string& path) {
  struct stat status {};
  if (stat(path.c_str(), &status) == 0 && !S_ISREG(status.st_mode)) {
    return irreplaceable(path, status.st_mode);
  }
  std::string beside = path + ".XXXXXX";
  const int file = mkostemp(beside.data(), O_CLOEXEC);
  if (file < 0) return unwritable(path);
  close(file);
  unlink(beside.c_str());
  return {};
}

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

#include "bench/output_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <cstring>

namespace kvasir {
namespace {

Error unwritable(const std::string& path, const std::string& why) {
  return Error{path + ": cannot write it: " + why};
}

// /dev/stdout may be a pipe: somebody has it open already.
bool is_standard_stream(const std::string& path) {
  return path == "/dev/stdout" || path == "/dev/stderr" || path.rfind("/dev/fd/", 0) == 0;
}

// A symbolic link on the way to the file stays.
void unlink_target(const std::string& path) {
  char* const target = realpath(path.c_str(), nullptr);
  if (target != nullptr) unlink(target);
  std::free(target);
}

}  // namespace

Result<void> check_output_file(const std::string& path) {
  struct stat status {};
  const bool exists = stat(path.c_str(), &status) == 0;
  if (!exists && errno != ENOENT) return unwritable(path, std::strerror(errno));
  if (exists && S_ISDIR(status.st_mode)) return unwritable(path, "it is a directory");
  const bool waits = exists && !S_ISREG(status.st_mode) && !S_ISCHR(status.st_mode);
  if (waits && !is_standard_stream(path)) {
    return unwritable(path, "it is neither a regular file nor /dev/null nor /dev/stdout");
  }
  const int file = open(path.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0666);
  if (file < 0) return unwritable(path, std::strerror(errno));
  close(file);
  if (!exists) unlink_target(path);
  return {};
}

}  // namespace kvasir

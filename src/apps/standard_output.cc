#include "apps/standard_output.h"

#include <cerrno>
#include <cstring>
#include <string>

namespace kvasir {

Result<void> flush_output(std::ostream& stream, std::FILE* file) {
  errno = 0;
  stream.flush();
  const bool flushed = std::fflush(file) == 0;
  const int code = errno;
  if (flushed && stream.good() && std::ferror(file) == 0) return {};
  std::string message = "cannot write to standard output";
  if (code != 0) message.append(": ").append(std::strerror(code));
  return Error{message};
}

}  // namespace kvasir

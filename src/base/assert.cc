#include "base/assert.h"

#include <poll.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdio>
#include <cstdlib>

#include "base/last_words.h"

namespace kvasir {
namespace {

constexpr int kPatienceMs = 1000;  // with whoever reads standard error

std::atomic<void (*)()> last_act{nullptr};

// Waits no longer than that: a process that cannot say why it ends must end all the same.
void say(const char* text, size_t size) {
  pollfd standard_error{STDERR_FILENO, POLLOUT, 0};
  if (poll(&standard_error, 1, kPatienceMs) <= 0) return;
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, text, size);
}

}  // namespace

void set_last_act(void (*act)()) {
  last_act = act;
}

void assertion_failed(const char* condition, const char* message, const char* file, int line) {
  if (void (*act)() = last_act.exchange(nullptr)) act();
  char text[1024];
  const int size = std::snprintf(text, sizeof text, "%s:%d: %s (%s does not hold)\n", file, line,
                                 message, condition);
  if (size > 0) say(text, std::min<size_t>(static_cast<size_t>(size), sizeof text - 1));
  std::abort();
}

}  // namespace kvasir

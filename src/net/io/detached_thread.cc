#include "net/io/detached_thread.h"

#include <csignal>
#include <system_error>
#include <thread>
#include <utility>

namespace kvasir {

bool start_detached_thread(std::function<void()> work) {
  // Signals are for the thread that waits for them.
  sigset_t all;
  sigset_t before;
  sigfillset(&all);
  pthread_sigmask(SIG_BLOCK, &all, &before);
  bool started = true;
  try {
    std::thread(std::move(work)).detach();
  } catch (const std::system_error&) {
    started = false;
  }
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

}  // namespace kvasir

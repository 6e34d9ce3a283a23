#include "net/io/detached_thread.h"

#include <system_error>
#include <thread>
#include <utility>

#include "base/signals_blocked.h"

namespace kvasir {

bool start_detached_thread(std::function<void()> work) {
  const SignalsBlocked blocked;
  try {
    std::thread(std::move(work)).detach();
  } catch (const std::system_error&) {
    return false;
  }
  return true;
}

}  // namespace kvasir

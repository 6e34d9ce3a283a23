// A thread for work that blocks and that nobody waits for, not even the end of the program.
#pragma once

#include <functional>

namespace kvasir {

// `work` owns what it uses. Signals go to other threads. False: the system gives no thread.
bool start_detached_thread(std::function<void()> work);

}  // namespace kvasir

#include "serving/server_threads.h"

#include <system_error>

#include "net/io/flag_address.h"

namespace kvasir {

Result<std::unique_ptr<ServerLoops>> ServerLoops::create(EventLoop& first,
                                                         const ServerThreadsOptions& options) {
  std::unique_ptr<ServerLoops> loops(new ServerLoops(first));
  if (Result<void> listening = loops->listen(options); !listening) return listening.error();
  for (uint32_t i = 1; i < options.threads; ++i) {
    Result<std::unique_ptr<EventLoop>> loop = EventLoop::create();
    if (!loop) return loop.error();
    loops->loops_.push_back(std::move(*loop));
  }
  return loops;
}

Result<void> ServerLoops::listen(const ServerThreadsOptions& options) {
  {
    // Sockets that share a port would share it with another server too: ask for it alone first.
    Result<Descriptor> alone = listen_on_flag(options.port_flag, options.host, options.port, false);
    if (!alone) return alone.error();
    port_ = local_port(*alone);
  }
  for (uint32_t i = 0; i < options.threads; ++i) {
    Result<Descriptor> listener = listen_on_flag(options.port_flag, options.host, port_, true);
    if (!listener) return listener.error();
    listeners_.push_back(std::move(*listener));
  }
  return {};
}

Result<void> ServerLoops::run() {
  try {
    for (const auto& loop : loops_) threads_.emplace_back([&loop = *loop] { loop.run(); });
  } catch (const std::system_error& error) {
    return Error{"--threads: the system gives only " + std::to_string(threads_.size() + 1) + ": " +
                 error.what()};
  }
  return {};
}

void ServerLoops::stop() {
  for (const auto& loop : loops_) loop->stop();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

}  // namespace kvasir

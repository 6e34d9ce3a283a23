// The threads of a server: each has an event loop, a listener on the port that they share, and a
// part of the server. The first loop is the caller's, and the caller runs it.
//
//   threads = ServerThreads<GatewayThread>::start(loop, options, make_part)
//
// A Part has: EventLoop& loop(); void drain(std::function<void()> drained).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/lifeline.h"
#include "base/result.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

struct ServerThreadsOptions {
  std::string host;
  uint16_t port = 0;           // 0: a free one
  const char* port_flag = "";  // to name in errors: "--port"
  uint32_t threads = 1;        // as by --threads
  Duration drain_timeout = std::chrono::seconds(30);
};

// Their loops and listeners. Lives on the first loop's thread.
class ServerLoops {
 public:
  // Takes the port.
  static Result<std::unique_ptr<ServerLoops>> create(EventLoop& first,
                                                     const ServerThreadsOptions& options);
  ~ServerLoops() { stop(); }
  ServerLoops(const ServerLoops&) = delete;
  ServerLoops& operator=(const ServerLoops&) = delete;

  uint16_t port() const { return port_; }
  size_t size() const { return loops_.size() + 1; }
  EventLoop& loop(size_t index) { return index == 0 ? first_ : *loops_[index - 1]; }
  Descriptor take_listener(size_t index) { return std::move(listeners_[index]); }

  // Starts the threads of all loops but the first.
  Result<void> run();
  // Ends them, and waits for that.
  void stop();

 private:
  explicit ServerLoops(EventLoop& first) : first_(first) {}
  Result<void> listen(const ServerThreadsOptions& options);

  EventLoop& first_;
  uint16_t port_ = 0;
  std::vector<Descriptor> listeners_;
  std::vector<std::unique_ptr<EventLoop>> loops_;  // beyond the first
  std::vector<std::thread> threads_;
};

template <class Part>
class ServerThreads {
 public:
  // Called for each thread before any of them runs.
  using MakePart =
      std::function<std::unique_ptr<Part>(EventLoop& loop, Descriptor listener, uint32_t index)>;

  static Result<std::unique_ptr<ServerThreads>> start(EventLoop& first,
                                                      const ServerThreadsOptions& options,
                                                      const MakePart& make) {
    Result<std::unique_ptr<ServerLoops>> loops = ServerLoops::create(first, options);
    if (!loops) return loops.error();
    std::unique_ptr<ServerThreads> threads(
        new ServerThreads(std::move(*loops), options.drain_timeout));
    for (uint32_t i = 0; i < threads->loops_->size(); ++i) {
      threads->parts_.push_back(
          make(threads->loops_->loop(i), threads->loops_->take_listener(i), i));
    }
    if (Result<void> running = threads->loops_->run(); !running) return running.error();
    return threads;
  }
  // The parts die when their threads have ended.
  ~ServerThreads() { loops_->stop(); }
  ServerThreads(const ServerThreads&) = delete;
  ServerThreads& operator=(const ServerThreads&) = delete;

  uint16_t port() const { return loops_->port(); }
  Part& first() { return *parts_.front(); }
  size_t size() const { return parts_.size(); }

  // On the first thread: calls `use` with each part on its own thread, with the first at once.
  void for_each(const std::function<void(Part&)>& use) {
    for (size_t i = 1; i < parts_.size(); ++i) {
      loops_->loop(i).post([use, &part = *parts_[i]] { use(part); });
    }
    use(*parts_.front());
  }

  // Each part stops taking what comes and lets running work end. Calls `drained` once on the first
  // thread: when all have, or after the time-out.
  void drain(std::function<void()> drained) {
    undrained_ = parts_.size();
    drained_ = std::move(drained);
    const auto one_is = lifeline_.posting(loops_->loop(0), [this] {
      if (--undrained_ == 0) finish();
    });
    for_each([one_is](Part& part) { part.drain(one_is); });
    loops_->loop(0).after(drain_timeout_, lifeline_.guard([this] { finish(); }));
  }

 private:
  ServerThreads(std::unique_ptr<ServerLoops> loops, Duration drain_timeout)
      : loops_(std::move(loops)), drain_timeout_(drain_timeout) {}

  void finish() {
    if (drained_) std::exchange(drained_, nullptr)();
  }

  const std::unique_ptr<ServerLoops> loops_;
  const Duration drain_timeout_;
  std::vector<std::unique_ptr<Part>> parts_;
  std::function<void()> drained_;
  size_t undrained_ = 0;
  Lifeline lifeline_;
};

}  // namespace kvasir

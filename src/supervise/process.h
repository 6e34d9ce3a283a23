// One child process: started, watched for its end on an EventLoop, and never left behind.
//
// It runs in a process group of its own, so that a Ctrl-C in the terminal reaches only its parent,
// which decides. The kernel kills it when the thread that started it ends, however that ends: start
// children from a thread that lives as long as they should.
#pragma once

#include <sys/types.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/result.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

class Process final : public IoHandler {
 public:
  struct Command {
    std::string binary;
    std::vector<std::string> arguments;  // without the program's own name
    std::vector<std::string> variables;  // NAME=VALUE, instead of or besides those of ours
    std::string log_file;  // takes standard output and error, appended; empty: our standard error
  };
  // "exited with status 2", "was killed by signal 9 (Killed)".
  using ExitWords = std::string;
  using OnExit = std::function<void(const ExitWords&)>;

  // Runs the command and calls `exited` once when it has ended, unless the Process was destroyed
  // before. `exited` must not destroy the Process. `loop` must outlive it.
  static Result<std::unique_ptr<Process>> start(EventLoop& loop, const Command& command,
                                                OnExit exited);
  // Kills it when it still runs, and waits for its end.
  ~Process() override;
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  int64_t pid() const { return pid_; }
  bool alive() const { return alive_; }
  // Sends a signal; nothing when it has ended.
  void signal(int number);

  void on_io(uint32_t events) override;

 private:
  Process(EventLoop& loop, pid_t pid, OnExit exited);
  void watch();
  void poll();

  EventLoop& loop_;
  const pid_t pid_;
  const Descriptor pid_descriptor_;  // not open on a kernel without pidfd: then a timer polls
  TimerId poll_timer_ = kNoTimer;
  bool alive_ = true;
  OnExit exited_;
};

}  // namespace kvasir

// Runs a credential plugin and collects what it prints, on the loop: nobody waits for it. Its
// standard error is ours. Private to kube/.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>

#include "base/lifeline.h"
#include "base/result.h"
#include "kube/kube_config.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"

namespace kvasir {

class ExecRun final : public IoHandler {
 public:
  struct Limits {
    Duration timeout;
    size_t output_bytes_max;
  };
  // What it printed; or why there is nothing to use, without a word of what it printed.
  using Done = std::function<void(const Result<std::string>&)>;

  // `info`: what KUBERNETES_EXEC_INFO says. `done` is called once, in a later turn, unless this is
  // destroyed before; it may destroy this. `loop` must outlive it.
  ExecRun(EventLoop& loop, const ExecCredential& exec, const std::string& info, Limits limits,
          Done done);
  // Kills the program when it still runs.
  ~ExecRun() override;
  ExecRun(const ExecRun&) = delete;
  ExecRun& operator=(const ExecRun&) = delete;

  void on_io(uint32_t events) override;

 private:
  Result<void> start(const ExecCredential& exec, const std::string& info);
  void poll();
  void read_output();
  void close_output();
  void stop();
  void end(Result<std::string> outcome);

  EventLoop& loop_;
  const Limits limits_;
  const std::string hint_;
  const std::string command_;
  Done done_;
  pid_t pid_ = -1;
  Descriptor output_;
  Descriptor pid_descriptor_;  // not open on a kernel without pidfd: then a timer polls
  std::string printed_;
  TimerId timer_ = kNoTimer;
  TimerId poll_timer_ = kNoTimer;
  bool ended_ = false;
  Lifeline lifeline_;
};

// The text of KUBERNETES_EXEC_INFO. `ca_pem`: of the server's CA, whatever file it came from.
std::string exec_info(const KubeConfig& config, const std::string& ca_pem);

}  // namespace kvasir

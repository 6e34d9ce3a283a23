// `kvasir worker` or `kvasir gateway` as a child process of a test. It must come up within 30 seconds.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir {

class ServingProcess {
 public:
  // Starts $KVASIR_BINARY `command`, `arguments` and --host 127.0.0.1 --port 0; fails the test when
  // it does not serve.
  ServingProcess(const std::string& command, const std::vector<std::string>& arguments);
  // Kills it.
  ~ServingProcess();
  ServingProcess(const ServingProcess&) = delete;
  ServingProcess& operator=(const ServingProcess&) = delete;

  uint16_t port() const { return port_; }
  bool alive() const;
  // Sends SIGTERM and waits for the end: its exit status, or -1 when a signal ended it.
  int terminate();

 private:
  uint16_t wait_for_port(int output);

  pid_t pid_ = -1;
  uint16_t port_ = 0;
};

// Runs `kvasir worker` with `arguments` to its end.
struct WorkerRun {
  int status = -1;
  std::string output;  // standard output and error
};
WorkerRun run_worker_command(const std::vector<std::string>& arguments);

}  // namespace kvasir

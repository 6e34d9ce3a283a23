#include "serving_process.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>

namespace kvasir {
namespace {

constexpr int kStartMilliseconds = 30000;

// Starts the command with standard output and error in a pipe, whose reading end goes to `output`.
pid_t start(const std::string& command, const std::vector<std::string>& arguments, int& output) {
  const char* binary = std::getenv("KVASIR_BINARY");
  if (binary == nullptr) {
    ADD_FAILURE() << "KVASIR_BINARY names no binary";
    return -1;
  }
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  std::vector<std::string> words = {binary, command};
  words.insert(words.end(), arguments.begin(), arguments.end());
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(ends[1], STDOUT_FILENO);
    dup2(ends[1], STDERR_FILENO);
    close(ends[0]);
    close(ends[1]);
    execv(binary, argv.data());
    _exit(127);
  }
  close(ends[1]);
  output = ends[0];
  return pid;
}

int exit_status(pid_t pid) {
  int status = 0;
  if (waitpid(pid, &status, 0) != pid) return -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

}  // namespace

ServingProcess::ServingProcess(const std::string& command,
                               const std::vector<std::string>& arguments) {
  std::vector<std::string> all = arguments;
  all.insert(all.end(), {"--host", "127.0.0.1", "--port", "0"});
  int output = -1;
  pid_ = start(command, all, output);
  port_ = wait_for_port(output);
  close(output);
}

// The port stands in the line "serving on http://127.0.0.1:PORT, ...".
uint16_t ServingProcess::wait_for_port(int output) {
  const std::string mark = "serving on http://127.0.0.1:";
  std::string text;
  pollfd wait{output, POLLIN, 0};
  while (poll(&wait, 1, kStartMilliseconds) > 0) {
    char buffer[4096];
    const ssize_t count = read(output, buffer, sizeof buffer);
    if (count <= 0) break;
    text.append(buffer, static_cast<size_t>(count));
    const size_t found = text.find(mark);
    if (found != std::string::npos && text.find(',', found) != std::string::npos) {
      return static_cast<uint16_t>(std::atoi(text.c_str() + found + mark.size()));
    }
  }
  ADD_FAILURE() << "it does not serve: " << text;
  return 0;
}

ServingProcess::~ServingProcess() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  exit_status(pid_);
}

bool ServingProcess::alive() const {
  return pid_ > 0 && waitpid(pid_, nullptr, WNOHANG) == 0;
}

int ServingProcess::terminate() {
  kill(pid_, SIGTERM);
  const int status = exit_status(pid_);
  pid_ = -1;
  return status;
}

WorkerRun run_worker_command(const std::vector<std::string>& arguments) {
  WorkerRun run;
  int output = -1;
  const pid_t pid = start("worker", arguments, output);
  if (pid < 0) return run;
  char buffer[4096];
  for (ssize_t count; (count = read(output, buffer, sizeof buffer)) > 0;) {
    run.output.append(buffer, static_cast<size_t>(count));
  }
  close(output);
  run.status = exit_status(pid);
  return run;
}

}  // namespace kvasir

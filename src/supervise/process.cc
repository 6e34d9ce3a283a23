#include "supervise/process.h"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstring>
#include <string_view>

namespace kvasir {
namespace {

constexpr Duration kPollInterval = std::chrono::milliseconds(50);
constexpr mode_t kLogFileMode = 0644;

Error system_error(const std::string& what, int code) {
  return Error{what + ": " + std::strerror(code)};
}

// By number: the C library of Debian 12 declares pidfd_open() without C linkage.
Descriptor open_pid_descriptor(pid_t pid) {
  return Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

// Everything the child needs, made before the fork: after it only async-signal-safe calls are
// allowed.
struct Launch {
  const char* binary;
  char* const* arguments;
  char* const* variables;
  int input;
  int output;
  int failure_pipe;
  pid_t parent;
};

// Runs in the child. Returns only when it failed, with the errno.
int become(const Launch& launch) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != launch.parent) _exit(1);  // the parent died before the line above
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);
  std::signal(SIGPIPE, SIG_DFL);
  if (dup2(launch.input, STDIN_FILENO) < 0) return errno;
  if (dup2(launch.output, STDOUT_FILENO) < 0) return errno;
  if (launch.output != STDERR_FILENO && dup2(launch.output, STDERR_FILENO) < 0) return errno;
  execve(launch.binary, launch.arguments, launch.variables);
  return errno;
}

Result<Descriptor> open_output(const std::string& log_file) {
  if (log_file.empty()) return Descriptor(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3));
  // O_NONBLOCK: a FIFO's reader is not waited for; what is written then may wait, as ever.
  constexpr int kFlags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
  Descriptor file(open(log_file.c_str(), kFlags, kLogFileMode));
  if (!file.open()) return system_error("cannot write " + log_file, errno);
  fcntl(file.get(), F_SETFL, O_APPEND);
  return file;
}

// Forks; the errno of a failed exec comes back through a pipe that a successful one closes.
Result<pid_t> fork_and_exec(Launch launch) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return system_error("cannot make a pipe", errno);
  Descriptor read_end(ends[0]);
  Descriptor write_end(ends[1]);
  launch.failure_pipe = write_end.get();
  launch.parent = getpid();
  const pid_t pid = fork();
  if (pid < 0) return system_error("cannot start a process", errno);
  if (pid == 0) {
    const int code = become(launch);
    [[maybe_unused]] const ssize_t count = write(launch.failure_pipe, &code, sizeof code);
    _exit(127);
  }
  write_end = Descriptor();
  int code = 0;
  ssize_t count;
  do {
    count = read(read_end.get(), &code, sizeof code);
  } while (count < 0 && errno == EINTR);
  if (count == 0) return pid;
  waitpid(pid, nullptr, 0);
  return system_error(std::string("cannot run ") + launch.binary, code);
}

// Our variables, but for those that `instead` says anew, and these. Ends with a null.
std::vector<char*> environment(std::vector<std::string>& instead) {
  std::vector<char*> all;
  for (char** one = environ; *one != nullptr; ++one) {
    const std::string_view entry(*one);
    const std::string_view name = entry.substr(0, entry.find('='));
    const auto says_it = [name](const std::string& other) {
      return std::string_view(other).substr(0, other.find('=')) == name;
    };
    if (std::none_of(instead.begin(), instead.end(), says_it)) all.push_back(*one);
  }
  for (std::string& one : instead) all.push_back(one.data());
  all.push_back(nullptr);
  return all;
}

std::string exit_words(int status) {
  if (WIFSIGNALED(status)) {
    const int number = WTERMSIG(status);
    return "was killed by signal " + std::to_string(number) + " (" + strsignal(number) + ")";
  }
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

Result<std::unique_ptr<Process>> Process::start(EventLoop& loop, const Command& command,
                                                OnExit exited) {
  std::string name = "kvasir";
  std::vector<std::string> words = command.arguments;
  std::vector<char*> arguments{name.data()};
  for (std::string& word : words) arguments.push_back(word.data());
  arguments.push_back(nullptr);
  std::vector<std::string> said = command.variables;
  const std::vector<char*> variables = environment(said);

  const Descriptor input(open("/dev/null", O_RDONLY | O_CLOEXEC));
  const Result<Descriptor> output = open_output(command.log_file);
  if (!output) return output.error();
  Launch launch{};
  launch.binary = command.binary.c_str();
  launch.arguments = arguments.data();
  launch.variables = variables.data();
  launch.input = input.get();
  launch.output = output->get();
  const Result<pid_t> pid = fork_and_exec(launch);
  if (!pid) return pid.error();
  std::unique_ptr<Process> process(new Process(loop, *pid, std::move(exited)));
  process->watch();
  return process;
}

Process::Process(EventLoop& loop, pid_t pid, OnExit exited)
    : loop_(loop),
      pid_(pid),
      pid_descriptor_(open_pid_descriptor(pid)),
      exited_(std::move(exited)) {}

Process::~Process() {
  if (!alive_) return;
  loop_.cancel(poll_timer_);
  if (pid_descriptor_.open()) loop_.unwatch(pid_descriptor_.get(), *this);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Process::signal(int number) {
  if (alive_) kill(pid_, number);
}

void Process::watch() {
  if (pid_descriptor_.open()) {
    loop_.watch(pid_descriptor_.get(), EPOLLIN, *this);
  } else {
    poll_timer_ = loop_.after(kPollInterval, [this] { poll(); });
  }
}

void Process::poll() {
  on_io(0);
  if (alive_) poll_timer_ = loop_.after(kPollInterval, [this] { poll(); });
}

void Process::on_io(uint32_t) {
  int status = 0;
  const pid_t ended = waitpid(pid_, &status, WNOHANG);
  if (ended == 0 || (ended < 0 && errno == EINTR)) return;
  alive_ = false;
  if (pid_descriptor_.open()) loop_.unwatch(pid_descriptor_.get(), *this);
  exited_(exit_words(status));
}

}  // namespace kvasir

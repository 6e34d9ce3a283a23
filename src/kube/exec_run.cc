#include "kube/exec_run.h"

#include <fcntl.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>
#include <optional>
#include <utility>
#include <vector>

#include "base/base64.h"
#include "kube/kube_time.h"
#include "wire/json/json_text.h"

namespace kvasir {
namespace {

constexpr Duration kExecPollInterval = std::chrono::milliseconds(50);

// Ours, with what the configuration adds; of one name the last one counts.
std::vector<std::string> environment_of(const ExecCredential& exec, const std::string& info) {
  std::vector<std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) all.emplace_back(*entry);
  const auto set = [&](const std::string& name, const std::string& value) {
    std::erase_if(all, [&](const std::string& entry) { return entry.rfind(name + "=", 0) == 0; });
    all.push_back(name + "=" + value);
  };
  for (const auto& [name, value] : exec.environment) set(name, value);
  set("KUBERNETES_EXEC_INFO", info);
  return all;
}

std::vector<char*> pointers_to(std::vector<std::string>& texts) {
  std::vector<char*> pointers;
  pointers.reserve(texts.size() + 1);
  for (std::string& text : texts) pointers.push_back(text.data());
  pointers.push_back(nullptr);
  return pointers;
}

// What is set up before the program begins: no input, its output into the pipe, a process group of
// its own, no signal blocked or ignored.
class SpawnSetup {
 public:
  explicit SpawnSetup(int output) {
    posix_spawn_file_actions_init(&actions_);
    posix_spawn_file_actions_addopen(&actions_, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    posix_spawn_file_actions_adddup2(&actions_, output, STDOUT_FILENO);
    posix_spawnattr_init(&attributes_);
    sigset_t none, defaults;
    sigemptyset(&none);
    sigemptyset(&defaults);
    for (const int number : {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGCHLD}) {
      sigaddset(&defaults, number);
    }
    posix_spawnattr_setsigmask(&attributes_, &none);
    posix_spawnattr_setsigdefault(&attributes_, &defaults);
    posix_spawnattr_setpgroup(&attributes_, 0);
    posix_spawnattr_setflags(
        &attributes_, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  }
  ~SpawnSetup() {
    posix_spawn_file_actions_destroy(&actions_);
    posix_spawnattr_destroy(&attributes_);
  }
  SpawnSetup(const SpawnSetup&) = delete;
  SpawnSetup& operator=(const SpawnSetup&) = delete;

  const posix_spawn_file_actions_t* actions() const { return &actions_; }
  const posix_spawnattr_t* attributes() const { return &attributes_; }

 private:
  posix_spawn_file_actions_t actions_;
  posix_spawnattr_t attributes_;
};

std::string end_of(int status) {
  if (WIFSIGNALED(status)) return "was killed by signal " + std::to_string(WTERMSIG(status));
  return "exited with status " + std::to_string(WEXITSTATUS(status));
}

}  // namespace

ExecRun::ExecRun(EventLoop& loop, const ExecCredential& exec, const std::string& info,
                 Limits limits, Done done)
    : loop_(loop),
      limits_(limits),
      hint_(exec.install_hint),
      command_(exec.command),
      done_(std::move(done)) {
  if (const Result<void> started = start(exec, info); !started) end(started.error());
}

ExecRun::~ExecRun() {
  stop();
}

Result<void> ExecRun::start(const ExecCredential& exec, const std::string& info) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return Error{std::string("no pipe: ") + std::strerror(errno)};
  output_ = Descriptor(ends[0]);
  const Descriptor write_end(ends[1]);
  fcntl(output_.get(), F_SETFL, O_NONBLOCK);
  const SpawnSetup setup(write_end.get());
  std::vector<std::string> arguments{exec.command};
  arguments.insert(arguments.end(), exec.arguments.begin(), exec.arguments.end());
  std::vector<std::string> environment = environment_of(exec, info);
  const int error = posix_spawnp(&pid_, exec.command.c_str(), setup.actions(), setup.attributes(),
                                 pointers_to(arguments).data(), pointers_to(environment).data());
  if (error != 0) {
    pid_ = -1;
    return Error{std::string("cannot be run: ") + std::strerror(error) +
                 (hint_.empty() ? "" : "; " + hint_)};
  }
  loop_.watch(output_.get(), EPOLLIN, *this);
  // By number: the C library of Debian 12 declares pidfd_open() without C linkage.
  pid_descriptor_ = Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid_, 0)));
  if (pid_descriptor_.open()) {
    loop_.watch(pid_descriptor_.get(), EPOLLIN, *this);
  } else {
    poll_timer_ = loop_.after(kExecPollInterval, [this] { poll(); });
  }
  timer_ = loop_.after(limits_.timeout, [this] {
    end(Error{"did not end within " + seconds_text(limits_.timeout)});
  });
  return {};
}

void ExecRun::poll() {
  poll_timer_ = loop_.after(kExecPollInterval, [this] { poll(); });
  on_io(0);
}

void ExecRun::on_io(uint32_t) {
  read_output();
  if (ended_) return;
  int status = 0;
  const pid_t gone = waitpid(pid_, &status, WNOHANG);
  if (gone == 0 || (gone < 0 && errno == EINTR)) return;
  pid_ = -1;
  read_output();  // what it wrote between the two
  if (ended_) return;
  if (status != 0) return end(Error{end_of(status)});
  end(std::move(printed_));
}

void ExecRun::read_output() {
  char bytes[4096];
  while (output_.open()) {
    const ssize_t count = read(output_.get(), bytes, sizeof bytes);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (count <= 0) return close_output();
    printed_.append(bytes, static_cast<size_t>(count));
    if (printed_.size() > limits_.output_bytes_max) {
      return end(Error{"printed more than " + std::to_string(limits_.output_bytes_max) + " bytes"});
    }
  }
}

void ExecRun::close_output() {
  if (!output_.open()) return;
  loop_.unwatch(output_.get(), *this);
  output_ = Descriptor();
}

// Leaves nothing behind: neither watched descriptors nor a program.
void ExecRun::stop() {
  loop_.cancel(std::exchange(timer_, kNoTimer));
  loop_.cancel(std::exchange(poll_timer_, kNoTimer));
  close_output();
  if (pid_descriptor_.open()) {
    loop_.unwatch(pid_descriptor_.get(), *this);
    pid_descriptor_ = Descriptor();
  }
  if (pid_ < 0) return;
  kill(-pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
}

void ExecRun::end(Result<std::string> outcome) {
  ended_ = true;
  stop();
  if (!outcome) outcome = Error{"the program " + command_ + " " + outcome.error().message};
  loop_.post(lifeline_.guard([this, outcome = std::move(outcome)] {
    const Done done = std::exchange(done_, nullptr);
    if (done != nullptr) done(outcome);
  }));
}

std::string exec_info(const KubeConfig& config, const std::string& ca_pem) {
  const ExecCredential& exec = config.exec.front();
  std::string json = R"({"apiVersion":)";
  append_json_string(exec.api_version, json);
  json += R"(,"kind":"ExecCredential","spec":{"interactive":false)";
  if (exec.provide_cluster_info) {
    json += R"(,"cluster":{"server":)";
    append_json_string(server_url(config), json);
    if (!config.tls_server_name.empty()) {
      append_json_string(config.tls_server_name, json.append(R"(,"tls-server-name":)"));
    }
    if (!config.check_server) json += R"(,"insecure-skip-tls-verify":true)";
    if (!ca_pem.empty()) {
      append_json_string(encode_base64(ca_pem), json.append(R"(,"certificate-authority-data":)"));
    }
    if (!config.exec_cluster_json.empty()) json += R"(,"config":)" + config.exec_cluster_json;
    json += "}";
  }
  return json + "}}";
}

}  // namespace kvasir

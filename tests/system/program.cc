#include "program.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <thread>

#include "base/assert.h"

namespace kvasir {
namespace {

constexpr Duration kLook = std::chrono::milliseconds(10);
constexpr Duration kPatience = std::chrono::seconds(30);

}  // namespace

Program::Program(std::vector<std::string> arguments, int output) {
  const char* binary = std::getenv("KVASIR_BINARY");
  KVASIR_ASSERT(binary != nullptr, "ctest sets KVASIR_BINARY");
  int descriptor = output;
  if (output < 0) {
    file_ = (std::filesystem::temp_directory_path() / "program-XXXXXX").string();
    descriptor = mkostemp(file_.data(), O_CLOEXEC);
  }
  std::string name = "kvasir";
  std::vector<char*> words{name.data()};
  for (std::string& argument : arguments) words.push_back(argument.data());
  words.push_back(nullptr);
  pid_ = fork();
  if (pid_ == 0) {
    dup2(descriptor, STDOUT_FILENO);
    dup2(descriptor, STDERR_FILENO);
    execv(binary, words.data());
    _exit(126);
  }
  if (output < 0) close(descriptor);
}

Program::~Program() {
  if (!status_) {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  if (!file_.empty()) std::filesystem::remove(file_);
}

std::string Program::output() const {
  std::ostringstream text;
  text << std::ifstream(file_).rdbuf();
  return text.str();
}

bool Program::comes_to_say(const std::string& text) {
  const TimePoint end = SteadyClock().now() + kPatience;
  while (SteadyClock().now() < end) {
    if (output().find(text) != std::string::npos) return true;
    if (wait(Duration::zero())) return output().find(text) != std::string::npos;
    std::this_thread::sleep_for(kLook);
  }
  return false;
}

void Program::signal(int number) const {
  kill(pid_, number);
}

std::optional<int> Program::wait(Duration patience) {
  const TimePoint end = SteadyClock().now() + patience;
  while (!status_) {
    int status = 0;
    if (waitpid(pid_, &status, WNOHANG) == pid_) {
      status_ = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
    } else if (SteadyClock().now() >= end) {
      return std::nullopt;
    } else {
      std::this_thread::sleep_for(kLook);
    }
  }
  return status_;
}

std::string ask(uint16_t port, const std::string& request) {
  const int socket = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{10, 0};
  setsockopt(socket, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  std::string answer;
  if (connect(socket, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0 &&
      send(socket, request.data(), request.size(), MSG_NOSIGNAL) ==
          static_cast<ssize_t>(request.size())) {
    char buffer[4096];
    for (ssize_t got; (got = recv(socket, buffer, sizeof buffer, 0)) > 0;) {
      answer.append(buffer, static_cast<size_t>(got));
    }
  }
  close(socket);
  return answer;
}

}  // namespace kvasir

// For tests: a redis-server of their own, on a free port, that keeps nothing.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdlib>
#include <string>
#include <utility>
#include <vector>

#include "net/io/socket.h"
#include "transfer/lmcache/redis_connection.h"

namespace kvasir {

class RedisServer {
 public:
  static bool installed() { return std::system("redis-server --version >/dev/null 2>&1") == 0; }

  // Running when this returns: port() is not 0.
  explicit RedisServer(std::vector<std::string> settings = {}, uint16_t port = 0)
      : settings_(std::move(settings)), port_(port) {
    for (int tries = 0; tries < 5 && process_ <= 0; ++tries) {
      if (port == 0) port_ = local_port(listen_tcp("127.0.0.1", 0, false).value());
      start();
    }
    EXPECT_GT(process_, 0) << "redis-server does not start";
  }
  ~RedisServer() { stop(); }
  RedisServer(const RedisServer&) = delete;
  RedisServer& operator=(const RedisServer&) = delete;

  uint16_t port() const { return port_; }
  void signal(int number) const { kill(process_, number); }
  void stop() {
    if (process_ <= 0) return;
    kill(process_, SIGKILL);
    waitpid(std::exchange(process_, 0), nullptr, 0);
  }
  void restart() {
    stop();
    start();
    ASSERT_GT(process_, 0);
  }

  // Asks it, as somebody else would. The last answer, as text.
  std::string ask(const std::vector<std::vector<std::string>>& commands,
                  const std::string& password = {}) const {
    RedisUrl url;
    url.host = "127.0.0.1";
    url.port = port_;
    url.password = password;
    RedisConnection connection(url, {});
    std::vector<RedisConnection::Command> views;
    for (const auto& command : commands) views.emplace_back(command.begin(), command.end());
    std::string answer;
    const auto done = connection.run(views, [&](size_t, const RedisReply& reply) {
      answer = reply.kind == RedisReply::Kind::kInteger ? std::to_string(reply.integer)
                                                        : std::string(reply.text);
      return true;
    });
    EXPECT_TRUE(done) << done.error().message;
    return answer;
  }

 private:
  void start() {
    std::array<int, 2> pipe{};
    ASSERT_EQ(pipe2(pipe.data(), O_CLOEXEC), 0);
    const Descriptor output(pipe[0]);
    process_ = fork();
    if (process_ == 0) run(pipe[1]);
    close(pipe[1]);
    std::string said;
    char byte;
    while (said.find("eady to accept connections") == std::string::npos) {
      if (read(output.get(), &byte, 1) != 1) {  // it ended: its port was taken, maybe
        waitpid(std::exchange(process_, 0), nullptr, 0);
        return;
      }
      said += byte;
    }
  }
  [[noreturn]] void run(int output) const {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(output, 1);
    std::vector<std::string> words = {"redis-server",
                                      "--port",
                                      std::to_string(port_),
                                      "--bind",
                                      "127.0.0.1",
                                      "--save",
                                      "",
                                      "--appendonly",
                                      "no",
                                      "--dir",
                                      "/tmp",
                                      "--daemonize",
                                      "no"};
    words.insert(words.end(), settings_.begin(), settings_.end());
    std::vector<char*> arguments;
    for (std::string& word : words) arguments.push_back(word.data());
    arguments.push_back(nullptr);
    execvp(arguments[0], arguments.data());
    _exit(127);
  }

  const std::vector<std::string> settings_;
  uint16_t port_;
  pid_t process_ = 0;
};

}  // namespace kvasir

#include "raw_store.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>

#include "base/clock.h"
#include "connector_pair.h"
#include "net/io/socket.h"

namespace kvasir::bench {
namespace {

// What a command says, read to its end.
std::string output_of(const std::string& command) {
  const std::unique_ptr<FILE, int (*)(FILE*)> pipe(popen(command.c_str(), "r"), pclose);
  if (pipe == nullptr) give_up("cannot run " + command);
  std::string text;
  std::array<char, 4096> buffer;
  while (const size_t size = fread(buffer.data(), 1, buffer.size(), pipe.get())) {
    text.append(buffer.data(), size);
  }
  return text;
}

// What redis-benchmark says of all its requests.
double seconds_of(const std::string& text, uint32_t requests) {
  const size_t at = text.find("\n\"");  // behind the line of names
  const size_t comma = at == std::string::npos ? at : text.find(",\"", at);
  if (comma == std::string::npos) give_up("redis-benchmark says: " + text);
  const double rate = std::atof(text.c_str() + comma + 2);
  if (rate <= 0) give_up("redis-benchmark says: " + text);
  return requests / rate;
}

}  // namespace

BenchFolder::BenchFolder() {
  std::string name = std::filesystem::current_path().string() + "/transfer-bench-XXXXXX";
  if (mkdtemp(name.data()) == nullptr) give_up("cannot make a folder here");
  path_ = name;
}

BenchFolder::~BenchFolder() {
  std::filesystem::remove_all(path_);
}

void BenchFolder::clear() const {
  for (const auto& entry : std::filesystem::directory_iterator(path_)) {
    std::filesystem::remove_all(entry.path());
  }
}

double write_and_sync_seconds(const BenchFolder& folder, const std::vector<std::byte>& bytes) {
  const std::string path = folder.path() + "/raw";
  const SteadyClock clock;
  const TimePoint begun = clock.now();
  {
    const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
    for (size_t at = 0; at < bytes.size();) {
      const ssize_t size = write(file.get(), bytes.data() + at, bytes.size() - at);
      if (size <= 0) give_up("cannot write " + path);
      at += static_cast<size_t>(size);
    }
    if (fsync(file.get()) != 0) give_up("cannot sync " + path);
  }
  const double seconds = to_seconds(clock.now() - begun);
  unlink(path.c_str());
  return seconds;
}

uint16_t free_port() {
  return local_port(listen_tcp("127.0.0.1", 0, false).value());
}

bool BenchRedis::installed() {
  return std::system("redis-server --version >/dev/null && redis-benchmark --version >/dev/null") ==
         0;
}

BenchRedis::BenchRedis() : port_(free_port()) {
  std::array<int, 2> pipe{};
  if (pipe2(pipe.data(), O_CLOEXEC) != 0) give_up("no pipe");
  process_ = fork();
  if (process_ == 0) {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    dup2(pipe[1], 1);
    const std::string port = std::to_string(port_);
    execlp("redis-server", "redis-server", "--port", port.c_str(), "--bind", "127.0.0.1", "--save",
           "", "--appendonly", "no", "--dir", "/tmp", static_cast<char*>(nullptr));
    _exit(127);
  }
  close(pipe[1]);
  const Descriptor output(pipe[0]);
  std::string said;
  char byte;
  while (said.find("eady to accept connections") == std::string::npos) {
    if (read(output.get(), &byte, 1) != 1) give_up("redis-server does not start");
    said += byte;
  }
}

BenchRedis::~BenchRedis() {
  kill(process_, SIGKILL);
  waitpid(process_, nullptr, 0);
}

std::string BenchRedis::benchmark(const std::string& command, uint32_t requests,
                                  uint32_t value_bytes) const {
  return output_of("redis-benchmark --csv -h 127.0.0.1 -p " + std::to_string(port_) + " -t " +
                   command + " -c 1 -P 64 -n " + std::to_string(requests) + " -d " +
                   std::to_string(value_bytes));
}

double BenchRedis::set_seconds(uint32_t requests, uint32_t value_bytes) const {
  clear();
  const double seconds =
      seconds_of(benchmark("set -r 1000000000", requests, value_bytes), requests);
  clear();
  return seconds;
}

double BenchRedis::get_seconds(uint32_t requests, uint32_t value_bytes) const {
  // What it gets without -r.
  ask("SETRANGE key:__rand_int__ " + std::to_string(value_bytes - 1) + " x");
  const double seconds = seconds_of(benchmark("get", requests, value_bytes), requests);
  clear();
  return seconds;
}

void BenchRedis::ask(const std::string& command) const {
  output_of("redis-cli -h 127.0.0.1 -p " + std::to_string(port_) + " " + command);
}

}  // namespace kvasir::bench

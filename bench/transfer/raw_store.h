// What the connectors that store blocks are measured against: a file, and a Redis as
// redis-benchmark finds it.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace kvasir::bench {

// A folder beside the program's working directory, for the time of the run.
class BenchFolder {
 public:
  BenchFolder();
  ~BenchFolder();
  BenchFolder(const BenchFolder&) = delete;
  BenchFolder& operator=(const BenchFolder&) = delete;
  const std::string& path() const { return path_; }
  void clear() const;

 private:
  std::string path_;
};

// The same bytes by write() and fsync() into a new file.
double write_and_sync_seconds(const BenchFolder& folder, const std::vector<std::byte>& bytes);

// A redis-server of its own that keeps nothing.
class BenchRedis {
 public:
  static bool installed();
  BenchRedis();
  ~BenchRedis();
  BenchRedis(const BenchRedis&) = delete;
  BenchRedis& operator=(const BenchRedis&) = delete;

  uint16_t port() const { return port_; }
  // How long so many commands take with values of that size, one connection and 64 commands on the
  // way, as redis-benchmark says. Each value is set under a key of its own, as blocks are: values
  // of one key would all go to the same memory. The gets are of one key, which no block's get
  // can do: redis-benchmark knows no other order than a random one.
  double set_seconds(uint32_t requests, uint32_t value_bytes) const;
  double get_seconds(uint32_t requests, uint32_t value_bytes) const;
  void clear() const { ask("FLUSHALL"); }

 private:
  void ask(const std::string& command) const;
  std::string benchmark(const std::string& command, uint32_t requests, uint32_t value_bytes) const;

  uint16_t port_ = 0;
  pid_t process_ = 0;
};

uint16_t free_port();

}  // namespace kvasir::bench

// A program of the binary as a process whose standard error a test holds: it may be read, or not.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"

namespace kvasir {

class Program {
 public:
  // `arguments`: the subcommand and what stands behind it. Standard output and error go to
  // `output`, a descriptor that stays the caller's; -1: into output().
  explicit Program(std::vector<std::string> arguments, int output = -1);
  // Kills it when it still runs.
  ~Program();
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;

  // What it wrote so far.
  std::string output() const;
  // Whether output() comes to hold the text while it runs.
  bool comes_to_say(const std::string& text);
  void signal(int number) const;
  pid_t pid() const { return pid_; }
  // Its exit status, -N when signal N ended it; nullopt: it still runs after so long.
  std::optional<int> wait(Duration patience = std::chrono::seconds(30));

 private:
  std::string file_;  // empty: the caller's descriptor
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// One HTTP/1.1 answer from 127.0.0.1 on a connection of its own, which is closed by the peer;
// empty: none came in time.
std::string ask(uint16_t port, const std::string& request);

}  // namespace kvasir

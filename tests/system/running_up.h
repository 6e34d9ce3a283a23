// A `kvasir up` of its own for a test: started as a user starts it, on free ports, read through its
// output.
#pragma once

#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/http/http_query.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "supervise/process.h"

namespace kvasir {

class RunningUp {
 public:
  // `arguments` come after `kvasir up`; without --log-dir it logs to a directory of the test's.
  explicit RunningUp(std::vector<std::string> arguments);
  ~RunningUp();
  RunningUp(const RunningUp&) = delete;
  RunningUp& operator=(const RunningUp&) = delete;

  // Runs the loop until the condition holds; false after 30 seconds.
  bool wait_until(const std::function<bool()>& condition);
  bool wait_until_ready();
  bool wait_until_output_has(const std::string& text);
  bool wait_for_exit();

  EventLoop& loop() { return *loop_; }
  void signal(int number) { process_->signal(number); }
  std::string output() const;
  const std::string& exit_words() const { return exit_words_; }
  // The processes that it started and that live, in the order of their start.
  std::vector<int64_t> children() const;
  // The endpoint that it printed; ready() must hold.
  HostPort endpoint() const;
  // Where a process of a described fleet serves, as it printed; 0: there is none of that name.
  uint16_t port_of(const std::string& process) const;

  Result<HttpAnswer> get(const std::string& target);
  Result<HttpAnswer> post(const std::string& target, const std::string& body);

 private:
  Result<HttpAnswer> query(const std::function<void(HttpQuery&, HttpQuery::Done)>& start);

  std::unique_ptr<EventLoop> loop_;
  std::string directory_;
  std::unique_ptr<Process> process_;
  std::string exit_words_;
};

// False for what has ended, waited for or not.
bool process_runs(int64_t pid);

}  // namespace kvasir

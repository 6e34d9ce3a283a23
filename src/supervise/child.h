// One program of the fleet: started, asked until it answers, and started again when it dies later.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "base/result.h"
#include "net/io/event_loop.h"
#include "net/io/socket.h"
#include "supervise/health_check.h"
#include "supervise/port_lease.h"
#include "supervise/process.h"
#include "supervise/restart_backoff.h"

namespace kvasir {

class Child {
 public:
  // Told of a child's turns; must not destroy the child from within.
  class Observer {
   public:
    virtual ~Observer() = default;
    // It answers for the first time.
    virtual void on_child_ready() = 0;
    // It ended before it ever answered. It is not started again.
    virtual void on_child_failed(const Error& reason) = 0;
    // It ended and stays down, because stop() was called.
    virtual void on_child_stopped() = 0;
  };

  // The references must outlive the child.
  Child(EventLoop& loop, Resolver& resolver, std::string name, HostPort address, PortLease lease,
        Process::Command command, Observer& observer);
  ~Child();
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  // Once.
  Result<void> start();
  // SIGTERM, and no more restarts.
  void stop();
  void kill();

  const std::string& name() const { return name_; }
  uint16_t port() const { return lease_.port(); }
  int64_t pid() const { return process_ ? process_->pid() : 0; }
  bool alive() const { return process_ && process_->alive(); }
  bool ready() const { return ready_; }
  uint32_t restarts() const { return restarts_; }
  // Where it logs, in words for a person.
  std::string log_words() const;

 private:
  Result<void> launch();
  void on_exit(const Process::ExitWords& how);
  void on_healthy();
  void restart_after(Duration lifetime);
  void restart();
  std::string last_words() const;

  EventLoop& loop_;
  Resolver& resolver_;
  const std::string name_;
  const HostPort address_;
  const PortLease lease_;
  const Process::Command command_;
  Observer& observer_;
  std::unique_ptr<Process> process_;
  std::unique_ptr<HealthCheck> health_;  // while it has not answered yet
  RestartBackoff backoff_;
  TimerId restart_timer_ = kNoTimer;
  TimePoint launched_at_;
  uint64_t log_begin_ = 0;  // of the log file, when it was launched
  uint32_t restarts_ = 0;
  bool ready_ = false;
  bool stopping_ = false;
};

}  // namespace kvasir

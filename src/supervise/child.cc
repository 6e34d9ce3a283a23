#include "supervise/child.h"

#include <csignal>

#include "supervise/log_tail.h"

namespace kvasir {
namespace {

constexpr size_t kLastWordsLines = 3;

}  // namespace

Child::Child(EventLoop& loop, Resolver& resolver, std::string name, HostPort address,
             PortLease lease, Process::Command command, Observer& observer)
    : loop_(loop),
      resolver_(resolver),
      name_(std::move(name)),
      address_(std::move(address)),
      lease_(std::move(lease)),
      command_(std::move(command)),
      observer_(observer) {}

Child::~Child() {
  loop_.cancel(restart_timer_);
}

Result<void> Child::start() {
  Result<void> launched = launch();
  if (!launched) return launched;
  health_ = std::make_unique<HealthCheck>(loop_, resolver_, address_, [this] { on_healthy(); });
  return {};
}

Result<void> Child::launch() {
  log_begin_ = file_size(command_.log_file);
  Result<std::unique_ptr<Process>> process =
      Process::start(loop_, command_, [this](const Process::ExitWords& how) { on_exit(how); });
  if (!process) return process.error();
  process_ = std::move(*process);
  launched_at_ = loop_.now();
  return {};
}

void Child::on_healthy() {
  ready_ = true;
  observer_.on_child_ready();
}

void Child::on_exit(const Process::ExitWords& how) {
  health_.reset();
  if (stopping_) return observer_.on_child_stopped();
  if (!ready_) {
    return observer_.on_child_failed(Error{name_ + " " + how + " while starting" + last_words()});
  }
  restart_after(loop_.now() - launched_at_);
}

void Child::restart_after(Duration lifetime) {
  restart_timer_ = loop_.after(backoff_.after_death(lifetime), [this] { restart(); });
}

void Child::restart() {
  ++restarts_;
  if (!launch()) restart_after(Duration::zero());
}

void Child::stop() {
  stopping_ = true;
  loop_.cancel(restart_timer_);
  if (process_) process_->signal(SIGTERM);
}

void Child::kill() {
  if (process_) process_->signal(SIGKILL);
}

std::string Child::log_words() const {
  return command_.log_file.empty() ? "its lines above" : command_.log_file;
}

std::string Child::last_words() const {
  const std::string tail = log_tail(command_.log_file, log_begin_, kLastWordsLines);
  return tail.empty() ? "; see " + log_words() : ": " + tail;
}

}  // namespace kvasir

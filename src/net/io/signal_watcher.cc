#include "net/io/signal_watcher.h"

#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstring>

namespace kvasir {

namespace {

// A signal that is blocked is not ignored any more, whatever nohup wanted. Of SIGHUP alone: a shell
// has SIGINT ignored by all that it starts in the background, and nobody asked for that.
bool stays_ignored(int signal) {
  struct sigaction inherited {};
  return signal == SIGHUP && sigaction(signal, nullptr, &inherited) == 0 &&
         inherited.sa_handler == SIG_IGN;
}

}  // namespace

Result<std::unique_ptr<SignalWatcher>> SignalWatcher::create(EventLoop& loop,
                                                             std::initializer_list<int> signals,
                                                             std::function<void(int)> arrived) {
  sigset_t set;
  sigemptyset(&set);
  for (const int signal : signals) {
    if (!stays_ignored(signal)) sigaddset(&set, signal);
  }
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  Descriptor descriptor(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!descriptor.open()) return Error{std::string("signalfd: ") + std::strerror(errno)};
  return std::unique_ptr<SignalWatcher>(
      new SignalWatcher(loop, std::move(descriptor), std::move(arrived)));
}

SignalWatcher::SignalWatcher(EventLoop& loop, Descriptor descriptor, std::function<void(int)> arrived)
    : loop_(loop), descriptor_(std::move(descriptor)), arrived_(std::move(arrived)) {
  loop_.watch(descriptor_.get(), EPOLLIN, *this);
}

SignalWatcher::~SignalWatcher() { loop_.unwatch(descriptor_.get(), *this); }

void SignalWatcher::on_io(uint32_t) {
  signalfd_siginfo info;
  while (read(descriptor_.get(), &info, sizeof info) == static_cast<ssize_t>(sizeof info)) {
    arrived_(static_cast<int>(info.ssi_signo));
  }
}

}  // namespace kvasir

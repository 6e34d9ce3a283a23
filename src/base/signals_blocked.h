// While it lives, the threads that are started handle no signal: a pipe without a reader is an error
// of write(), not the end of the program; and SIGTERM is for the thread that waits for it
// (net/io/signal_watcher.h). A thread that does handle it ends the program without a word, so every
// thread is started under one of these, or after the watcher was made.
#pragma once

#include <csignal>

namespace kvasir {

class SignalsBlocked {
 public:
  SignalsBlocked() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_BLOCK, &all, &before_);
  }
  ~SignalsBlocked() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsBlocked(const SignalsBlocked&) = delete;
  SignalsBlocked& operator=(const SignalsBlocked&) = delete;

 private:
  sigset_t before_{};
};

}  // namespace kvasir

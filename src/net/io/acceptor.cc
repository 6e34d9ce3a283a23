#include "net/io/acceptor.h"

#include <sys/socket.h>

#include <cerrno>

namespace kvasir {
namespace {

// Connections taken from the kernel before other work on the loop gets its turn.
constexpr int kAcceptsPerWake = 64;
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

bool out_of_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOMEM || error == ENOBUFS;
}

}  // namespace

Acceptor::Acceptor(EventLoop& loop, Descriptor listener, std::function<bool()> has_room,
                   std::function<void(Descriptor)> take)
    : loop_(loop),
      listener_(std::move(listener)),
      has_room_(std::move(has_room)),
      take_(std::move(take)) {
  loop_.watch(listener_.get(), EPOLLIN, *this);
}

Acceptor::~Acceptor() {
  loop_.cancel(resume_);
  if (!paused_) loop_.unwatch(listener_.get(), *this);
}

void Acceptor::on_io(uint32_t) {
  for (int i = 0; i < kAcceptsPerWake; ++i) {
    if (!has_room_()) return pause();
    Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.open()) {
      if (out_of_resources(errno)) pause();
      return;
    }
    take_(std::move(socket));
  }
}

void Acceptor::pause() {
  paused_ = true;
  loop_.unwatch(listener_.get(), *this);
  resume_ = loop_.after(kAcceptPause, [this] {
    paused_ = false;
    loop_.watch(listener_.get(), EPOLLIN, *this);
  });
}

}  // namespace kvasir

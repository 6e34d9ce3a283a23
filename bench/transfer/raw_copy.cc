#include "raw_copy.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "base/clock.h"
#include "connector_pair.h"

namespace kvasir::bench {
namespace {

constexpr size_t kPieceBytes = size_t{1} << 20;  // of one write: larger ones are no faster

void make_blocking(const Descriptor& socket) {
  fcntl(socket.get(), F_SETFL, fcntl(socket.get(), F_GETFL) & ~O_NONBLOCK);
}

}  // namespace

RawTcpCopy::RawTcpCopy(size_t bytes) : from_(bytes, std::byte{1}), to_(bytes, std::byte{2}) {
  Result<Descriptor> listener = listen_tcp("127.0.0.1", 0, false);
  if (!listener) give_up(listener.error().message);
  sender_ = Descriptor(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in to{};
  to.sin_family = AF_INET;
  to.sin_port = htons(local_port(*listener));
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  make_blocking(*listener);
  if (connect(sender_.get(), reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) {
    give_up("no connection for the raw copy");
  }
  receiver_ = Descriptor(accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC));
  set_no_delay(sender_);
}

double RawTcpCopy::seconds() {
  const SteadyClock clock;
  const TimePoint begun = clock.now();
  std::thread sending([this] {
    for (size_t at = 0; at < from_.size();) {
      const size_t piece = std::min(kPieceBytes, from_.size() - at);
      const ssize_t sent = send(sender_.get(), from_.data() + at, piece, MSG_NOSIGNAL);
      if (sent <= 0) give_up("the raw copy breaks off");
      at += static_cast<size_t>(sent);
    }
  });
  for (size_t at = 0; at < to_.size();) {
    const size_t piece = std::min(kPieceBytes, to_.size() - at);
    const ssize_t got = recv(receiver_.get(), to_.data() + at, piece, 0);
    if (got <= 0) give_up("the raw copy breaks off");
    at += static_cast<size_t>(got);
  }
  const double seconds = to_seconds(clock.now() - begun);
  sending.join();
  return seconds;
}

}  // namespace kvasir::bench

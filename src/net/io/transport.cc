#include "net/io/transport.h"

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

namespace kvasir {
namespace {

// What is moved between TLS and the socket at once.
constexpr size_t kEncryptedBytes = 64 * 1024;

}  // namespace

Transport::Transport(Descriptor socket, std::unique_ptr<TlsSession> tls)
    : socket_(std::move(socket)), tls_(std::move(tls)) {}

bool Transport::begin() {
  if (tls_ == nullptr) return true;
  const bool begun = tls_->start();
  return send_output() && begun;
}

// --- Reading ---------------------------------------------------------------------------

Transport::Reading Transport::receive(char* into, size_t room) {
  const ssize_t count = recv(socket_.get(), into, room, 0);
  full_ = count == static_cast<ssize_t>(room);
  if (count > 0) return {Status::kOk, static_cast<size_t>(count)};
  if (count == 0) return {Status::kEnd, 0};
  if (errno == EAGAIN || errno == EINTR) return {Status::kLater, 0};
  error_ = errno;
  return {Status::kBroken, 0};
}

Transport::Reading Transport::read_encrypted(char* into, size_t room) {
  const bool had_more = more_;
  Reading reading = decrypt(into, room);
  if (reading.status != Status::kLater || had_more) return reading;
  char encrypted[kEncryptedBytes];
  reading = receive(encrypted, sizeof encrypted);
  if (reading.status == Status::kEnd) {
    // Without a goodbye: what came may have been cut short by somebody in between.
    error_ = ECONNRESET;
    return {Status::kBroken, 0};
  }
  if (reading.status != Status::kOk) return reading;
  tls_->receive({encrypted, reading.size});
  return decrypt(into, room);
}

Transport::Reading Transport::decrypt(char* into, size_t room) {
  size_t size = 0;
  TlsSession::Reading piece{TlsSession::Status::kOk, 0};
  do {
    piece = tls_->read(into + size, room - size);
    size += piece.size;
  } while (piece.size > 0 && size < room);
  const bool ok = send_output();  // of a handshake; of a failure: why, should it arrive
  more_ = size > 0 && (size == room || piece.status != TlsSession::Status::kOk);
  if (size > 0) return {Status::kOk, size};
  if (piece.status == TlsSession::Status::kClosed) return {Status::kEnd, 0};
  return {piece.status == TlsSession::Status::kOk && ok ? Status::kLater : Status::kBroken, 0};
}

bool Transport::turn_plain() {
  if (tls_ == nullptr || !tls_->met_plain_http()) return false;
  tls_.reset();
  return true;
}

// --- Sending ---------------------------------------------------------------------------

bool Transport::send(GatherBuffer& pieces) {
  if (tls_ == nullptr) return pieces.write(socket_.get(), queue_);
  return pieces.hand_over([this](std::string_view bytes) { return encrypt(bytes); }) &&
         send_output();
}

void Transport::append(std::string_view bytes) {
  if (tls_ == nullptr) return queue_.append(bytes);
  encrypt(bytes);  // should it be broken, the next send says so
}

std::optional<size_t> Transport::send_some(std::string_view first, std::string_view second) {
  if (tls_ == nullptr) {
    iovec pieces[2] = {{const_cast<char*>(first.data()), first.size()},
                       {const_cast<char*>(second.data()), second.size()}};
    msghdr message{};
    message.msg_iov = pieces;
    message.msg_iovlen = 2;
    const ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent >= 0) return static_cast<size_t>(sent);
    if (errno == EAGAIN || errno == EINTR) return 0;
    error_ = errno;
    return std::nullopt;
  }
  if (!flush()) return std::nullopt;
  size_t taken = 0;
  for (std::string_view rest : {first, second}) {
    while (!rest.empty() && queue_.size() == 0) {
      const std::string_view slice = rest.substr(0, TlsSession::kWriteBytesMax);
      if (!tls_->write(slice) || !send_output()) return std::nullopt;
      taken += slice.size();
      rest.remove_prefix(slice.size());
    }
  }
  return taken;
}

bool Transport::flush() {
  return queue_.flush(socket_.get()) && send_output();
}

bool Transport::send_encrypted(std::string_view first, std::string_view second) {
  return encrypt(first) && encrypt(second) && send_output();
}

// In slices, so that TLS never holds much that is encrypted and not yet sent.
bool Transport::encrypt(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::string_view slice = bytes.substr(0, TlsSession::kWriteBytesMax);
    if (!tls_->write(slice)) return false;
    if (tls_->output_size() >= TlsSession::kWriteBytesMax && !send_output()) return false;
    bytes.remove_prefix(slice.size());
  }
  return true;
}

// What TLS has for the network.
bool Transport::send_output() {
  if (tls_ == nullptr || tls_->output_size() == 0) return true;
  char encrypted[kEncryptedBytes];
  while (const size_t size = tls_->take_output(encrypted, sizeof encrypted)) {
    if (!queue_.send(socket_.get(), {encrypted, size})) return false;
  }
  return true;
}

// --- End -------------------------------------------------------------------------------

void Transport::end_sending() {
  say_goodbye();
  shutdown(socket_.get(), SHUT_WR);
}

void Transport::say_goodbye() {
  if (tls_ == nullptr || !ready() || queue_.size() > 0) return;
  tls_->say_goodbye();
  send_output();  // as far as the socket takes it
}

std::string Transport::failure() const {
  if (error_ != 0) return std::strerror(error_);
  return tls_ == nullptr ? std::string() : tls_->failure();
}

}  // namespace kvasir

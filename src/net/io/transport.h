// The bytes of one connection, encrypted or not: what is above speaks plaintext and need not know
// which. Private to net/.
//
// Owns the socket, and what the socket has not taken yet. The owner watches the socket: for input
// while it wants to read, for output while unsent() is not 0. Lives on one loop's thread.
#pragma once

#include <sys/socket.h>

#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "net/io/gather_buffer.h"
#include "net/io/output_queue.h"
#include "net/io/socket.h"
#include "net/io/tls_session.h"

namespace kvasir {

class Transport {
 public:
  enum class Status : uint8_t {
    kOk,      // some bytes
    kLater,   // none now
    kEnd,     // the peer sends no more
    kBroken,  // failure() says why
  };
  struct Reading {
    Status status;
    size_t size;  // 0 unless kOk
  };

  // No connection yet.
  Transport() = default;
  // Plain without `tls`. With it a handshake comes first: see ready().
  explicit Transport(Descriptor socket, std::unique_ptr<TlsSession> tls = nullptr);

  const Descriptor& socket() const { return socket_; }

  // Says hello, as the client of an encrypted connection must once it is connected; read() then
  // does what is left of the handshake. False: the connection is broken.
  bool begin();
  // The handshake is done, or there is none: something can be sent.
  bool ready() const { return tls_ == nullptr || tls_->open(); }
  bool encrypted() const { return tls_ != nullptr; }
  // The handshake chose HTTP/2 (ALPN).
  bool agreed_on_http2() const { return tls_ != nullptr && tls_->protocol() == "h2"; }

  // The handshake failed because the client speaks HTTP without TLS: from now on this connection
  // is plain, so that it can be told. False: that is not what happened.
  bool turn_plain();

  // Reads into memory of at least one byte.
  Reading read(char* into, size_t room) {
    return tls_ == nullptr ? receive(into, room) : read_encrypted(into, room);
  }
  // read() has more to say although the socket may have no more input: no loop tells of that.
  bool more() const { return more_; }
  // The last read() left nothing behind, in the socket or elsewhere, when it was called.
  bool drained() const { return !full_ && !more_ && (tls_ == nullptr || tls_->input_size() == 0); }

  // Send everything, behind what is unsent. What the socket does not take is kept. False: the
  // connection is broken. Precondition: ready().
  bool send(std::string_view first, std::string_view second = {}) {
    return tls_ == nullptr ? queue_.send(socket_.get(), first, second)
                           : send_encrypted(first, second);
  }
  bool send(GatherBuffer& pieces);
  // Keeps `bytes` for the next send() or flush().
  void append(std::string_view bytes);
  // Sends as much of the two as the socket takes now, and says how much; nothing is copied for
  // later, but a piece that is encrypted already. No value: the connection is broken.
  std::optional<size_t> send_some(std::string_view first, std::string_view second);
  // Sends what is unsent, as far as the socket takes it. False: the connection is broken.
  bool flush();
  size_t unsent() const { return queue_.size() + (tls_ == nullptr ? 0 : tls_->output_size()); }

  // The peer reads an end behind what was sent; what it sends can still be read.
  void end_sending();
  // Before a connection is closed whose peer may still read: TLS has a word for it.
  void say_goodbye();

  // Why it is broken, for people.
  std::string failure() const;

 private:
  Reading receive(char* into, size_t room);
  Reading read_encrypted(char* into, size_t room);
  Reading decrypt(char* into, size_t room);
  bool send_encrypted(std::string_view first, std::string_view second);
  bool encrypt(std::string_view bytes);
  bool send_output();

  Descriptor socket_;
  std::unique_ptr<TlsSession> tls_;  // null: plain
  OutputQueue queue_;                // as it goes over the wire
  int error_ = 0;                    // of the socket
  bool more_ = false;
  bool full_ = false;  // the last read of the socket, which may have more
};

}  // namespace kvasir

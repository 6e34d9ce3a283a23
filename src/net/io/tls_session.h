// One side of one TLS connection, without a socket: bytes of the network in, bytes of the
// application out, and the other way round. Private to net/.
//
// Holds at most what was given to receive() last, and one record. Not thread-safe.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

struct ssl_st;
struct ssl_ctx_st;
struct bio_st;

namespace kvasir {

class TlsSession {
 public:
  // The most that write() takes at once, so that its output stays small.
  static constexpr size_t kWriteBytesMax = 64 * 1024;

  enum class Status {
    kOk,
    kClosed,  // the peer said goodbye
    kFailed,  // what came is not TLS, or not acceptable: send the output, then close
  };
  struct Reading {
    Status status;
    size_t size;  // of the plaintext; 0 with kOk: everything received is read
  };

  // The server's side. The context may go before the session.
  explicit TlsSession(ssl_ctx_st* context);
  // The client's side. `server_name`: the name or address that the server's certificate must be
  // for, if the context checks certificates.
  TlsSession(ssl_ctx_st* context, const std::string& server_name);
  ~TlsSession();
  TlsSession(const TlsSession&) = delete;
  TlsSession& operator=(const TlsSession&) = delete;

  // Puts the client's first message into the output; a server has none.
  bool start();
  // Keeps `bytes` from the network for read(), which is to be called until it returns nothing more.
  void receive(std::string_view bytes);
  // Advances the handshake, then decrypts into `into`, which may be the memory given to receive().
  Reading read(char* into, size_t room);

  // About how much was received and not read: part of a record, or more.
  size_t input_size() const;

  // The handshake is done: write() may be called.
  bool open() const;
  // What both sides agreed to speak (ALPN), by its registered name; empty: nothing was said of it.
  std::string_view protocol() const;
  // Encrypts at most kWriteBytesMax bytes; take the output before more. False: the connection is
  // broken.
  bool write(std::string_view plaintext);
  // Adds our goodbye to the output.
  void say_goodbye();

  // Moves up to `room` bytes for the network into `into`: how many, 0 when there are no more.
  size_t take_output(char* into, size_t room);
  size_t output_size() const;

  // read() failed because the peer speaks HTTP without TLS.
  bool met_plain_http() const { return met_plain_http_; }
  // Why read() failed, for people.
  const std::string& failure() const { return failure_; }

 private:
  ssl_st* ssl_;
  bio_st* from_network_;  // both belong to ssl_
  bio_st* to_network_;
  std::string failure_;
  bool met_plain_http_ = false;
};

}  // namespace kvasir

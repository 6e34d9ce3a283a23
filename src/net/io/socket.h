// TCP sockets: addresses, listening, connecting. Every socket made here is non-blocking and closes on exec.
#pragma once

#include <netinet/in.h>
#include <sys/socket.h>

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>

#include "base/result.h"
#include "net/io/socket_address.h"

namespace kvasir {

// Owns a descriptor. Neither copied nor shared.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) : value_(value) {}
  Descriptor(Descriptor&& other) noexcept : value_(std::exchange(other.value_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(value_, other.value_);
    return *this;
  }
  ~Descriptor();

  int get() const { return value_; }
  bool open() const { return value_ >= 0; }

 private:
  int value_ = -1;
};

// Blocks when `host` is a name: for the address on which a program listens, a literal or a name of
// this machine, when it starts. Prefers IPv4. Other hosts are looked up by a Resolver
// (net/io/resolver.h).
Result<SocketAddress> resolve(const std::string& host, uint16_t port);

// `reuse_port`: several sockets may listen on one port, each gets a share of the connections. Port
// 0 takes a free one; see local_port(). Blocks as resolve() does.
Result<Descriptor> listen_tcp(const std::string& host, uint16_t port, bool reuse_port);
uint16_t local_port(const Descriptor& socket);

// Starts to connect: the socket becomes writable when it is done; then connect_error() is 0 or an errno.
struct Connecting {
  Descriptor socket;
  int error = 0;  // an errno when it failed at once: then there is no socket
};
Connecting start_connect(const SocketAddress& address);
int connect_error(const Descriptor& socket);

// Closing this connection will reset it: what is unsent is dropped, and the peer learns that nobody reads.
void reset_on_close(const Descriptor& socket);
void set_no_delay(const Descriptor& socket);
// The connection breaks when what was sent is not acknowledged for so long; zero: the system's own.
void set_unacknowledged_timeout(const Descriptor& socket, std::chrono::milliseconds timeout);

// As many open sockets as the system allows this process.
void raise_descriptor_limit();

// "http://HOST:PORT" or "HOST:PORT" (no path but "/"); an IPv6 host stands in brackets.
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
Result<HostPort> parse_http_origin(std::string_view url);
// Whether only this machine reaches a socket that listens on `host`, by its name alone: "localhost"
// or a literal of the loopback networks.
bool is_loopback(const std::string& host);
// HOST:PORT as it stands in a Host field, IPv6 in brackets.
std::string to_string(const HostPort& origin);

}  // namespace kvasir

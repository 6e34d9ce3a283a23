#include "net/io/socket.h"

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "net/io/flag_address.h"

namespace kvasir {
namespace {

constexpr int kListenBacklog = 4096;

struct AddressListDeleter {
  void operator()(addrinfo* list) const { freeaddrinfo(list); }
};

Error system_error(const std::string& what) { return Error{what + ": " + std::strerror(errno)}; }

Result<SocketAddress> look_up(const std::string& host, uint16_t port, int flags) {
  addrinfo hints{};
  hints.ai_family = AF_UNSPEC;
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = flags;
  addrinfo* raw = nullptr;
  const int code = getaddrinfo(host.c_str(), std::to_string(port).c_str(), &hints, &raw);
  const std::unique_ptr<addrinfo, AddressListDeleter> list(raw);
  if (code != 0) return Error{"cannot resolve host '" + host + "': " + gai_strerror(code)};
  const addrinfo* best = raw;
  for (const addrinfo* entry = raw; entry != nullptr; entry = entry->ai_next) {
    if (entry->ai_family == AF_INET) {
      best = entry;
      break;
    }
  }
  return address_from(*best->ai_addr, best->ai_addrlen);
}

// Not open: errno says why.
Descriptor open_socket(const SocketAddress& address) {
  const int kind = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  return Descriptor(::socket(address.storage.ss_family, kind, 0));
}

}  // namespace

Descriptor::~Descriptor() {
  if (value_ >= 0) close(value_);
}

Result<SocketAddress> resolve(const std::string& host, uint16_t port) {
  return look_up(host, port, AI_ADDRCONFIG);
}

Result<Descriptor> listen_tcp(const std::string& host, uint16_t port, bool reuse_port) {
  return listen_with_advice("--port", host, port, reuse_port);
}

Result<Descriptor> listen_with_advice(std::string_view port_flag, const std::string& host,
                                      uint16_t port, bool reuse_port) {
  Result<SocketAddress> address = look_up(host, port, AI_PASSIVE);
  if (!address) return address.error();
  Descriptor socket = open_socket(*address);
  if (!socket.open()) return system_error("cannot open a socket");
  const int on = 1;
  setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (reuse_port) setsockopt(socket.get(), SOL_SOCKET, SO_REUSEPORT, &on, sizeof on);
  const std::string where = host + ":" + std::to_string(port);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address->storage);
  if (bind(socket.get(), raw, address->size) != 0) {
    if (errno == EADDRINUSE) {
      return Error{"port " + std::to_string(port) + " is already in use on " + host +
                   ": stop the program that holds it, or choose another with " +
                   std::string(port_flag)};
    }
    return system_error("cannot listen on " + where);
  }
  if (listen(socket.get(), kListenBacklog) != 0) return system_error("cannot listen on " + where);
  return socket;
}

uint16_t local_port(const Descriptor& socket) {
  sockaddr_storage address{};
  socklen_t size = sizeof address;
  getsockname(socket.get(), reinterpret_cast<sockaddr*>(&address), &size);
  if (address.ss_family == AF_INET6) {
    return ntohs(reinterpret_cast<const sockaddr_in6*>(&address)->sin6_port);
  }
  return ntohs(reinterpret_cast<const sockaddr_in*>(&address)->sin_port);
}

Connecting start_connect(const SocketAddress& address) {
  Descriptor socket = open_socket(address);
  if (!socket.open()) return {Descriptor(), errno};
  set_no_delay(socket);
  const auto* raw = reinterpret_cast<const sockaddr*>(&address.storage);
  if (connect(socket.get(), raw, address.size) != 0 && errno != EINPROGRESS) {
    return {Descriptor(), errno};
  }
  return {std::move(socket), 0};
}

int connect_error(const Descriptor& socket) {
  int error = 0;
  socklen_t size = sizeof error;
  getsockopt(socket.get(), SOL_SOCKET, SO_ERROR, &error, &size);
  return error;
}

void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  setrlimit(RLIMIT_NOFILE, &limit);
}

void set_unacknowledged_timeout(const Descriptor& socket, std::chrono::milliseconds timeout) {
  const auto milliseconds = static_cast<unsigned>(timeout.count());
  setsockopt(socket.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &milliseconds, sizeof milliseconds);
}

void reset_on_close(const Descriptor& socket) {
  const linger at_once{1, 0};
  setsockopt(socket.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
}

void set_no_delay(const Descriptor& socket) {
  const int on = 1;
  setsockopt(socket.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

Result<HostPort> parse_http_origin(std::string_view url) {
  return parse_address(url, "http://HOST:PORT");
}

bool is_loopback(const std::string& host) {
  in_addr four{};
  in6_addr six{};
  if (inet_pton(AF_INET, host.c_str(), &four) == 1) return ntohl(four.s_addr) >> 24 == 127;
  if (inet_pton(AF_INET6, host.c_str(), &six) == 1) return IN6_IS_ADDR_LOOPBACK(&six);
  return host == "localhost";
}

std::string to_string(const HostPort& origin) {
  const bool ipv6 = origin.host.find(':') != std::string::npos;
  return (ipv6 ? "[" + origin.host + "]" : origin.host) + ":" + std::to_string(origin.port);
}

}  // namespace kvasir

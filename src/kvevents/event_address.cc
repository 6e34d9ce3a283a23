#include "kvevents/event_address.h"

#include <sys/un.h>

#include <utility>

#include "net/io/flag_address.h"

namespace kvasir {
namespace {

constexpr std::string_view kTcp = "tcp://";
constexpr std::string_view kIpc = "ipc://";
constexpr size_t kIpcPathMost = sizeof(sockaddr_un::sun_path) - 1;
constexpr const char* kLongPath =
    "its path has more than 107 bytes, the most that a socket may have";
static_assert(kIpcPathMost == 107);
constexpr const char* kHostWanted =
    " is where an engine listens; the name or address of its host is wanted";
constexpr const char* kWrongPort = "its port, and the rank added to it, must be from 1 to 65535";

// tcp://HOST:PORT with the rank added to its port; nullopt: that is none. ZeroMQ itself takes any
// number modulo 65536.
std::optional<std::string> of_rank(const std::string& address, uint32_t rank) {
  const size_t colon = address.rfind(':');
  const std::optional<uint16_t> port = parse_port(std::string_view(address).substr(colon + 1));
  if (!port || rank > UINT16_MAX - uint32_t{*port}) return std::nullopt;
  return address.substr(0, colon + 1) + std::to_string(*port + rank);
}

// To listen on one that the system chooses.
bool is_any_port(std::string_view port) {
  return port == "*" || port == "0";
}

bool has_space(std::string_view text) {
  return text.find_first_of(" \t\r\n") != std::string_view::npos;
}

bool has_long_path(std::string_view address) {
  return address.starts_with(kIpc) && address.size() > kIpc.size() + kIpcPathMost;
}

// IPv6 addresses get the brackets that tell them from their port.
std::string bracketed(const std::string& host) {
  const bool bare = host.find(':') != std::string::npos && host.front() != '[';
  return bare ? "[" + host + "]" : host;
}

// In one pass, so that a host called PORT stays one.
std::string filled_in(std::string_view pattern, const Endpoint& endpoint) {
  std::string text;
  while (!pattern.empty()) {
    if (pattern.substr(0, 4) == "HOST") {
      text += bracketed(endpoint.host);
      pattern.remove_prefix(4);
    } else if (pattern.substr(0, 4) == "PORT") {
      text += std::to_string(endpoint.port);
      pattern.remove_prefix(4);
    } else {
      text += pattern.front();
      pattern.remove_prefix(1);
    }
  }
  return text;
}

Error wrong(const std::string& address, const std::string& why) {
  return Error{"'" + address + "' is not an address to connect to: " + why};
}

Result<std::string> tcp_address(const std::string& address, uint32_t rank) {
  const size_t colon = address.rfind(':');
  const std::string host = address.substr(kTcp.size(), colon - std::min(colon, kTcp.size()));
  if (colon < kTcp.size() || address.back() == ']') {
    return wrong(address, "it has no port; tcp://HOST:5557 has");
  }
  if (host.empty()) return wrong(address, "it has no host");
  if (host == "*" || host == "0.0.0.0" || host == "[::]") {
    return wrong(address, host + kHostWanted);
  }
  if (host.find(':') != std::string::npos && host.back() != ']') {
    return wrong(address, "an IPv6 address stands in brackets");
  }
  const std::optional<std::string> moved = of_rank(address, rank);
  if (!moved) return wrong(address, kWrongPort);
  return *moved;
}

}  // namespace

Result<std::string> event_address(std::string_view pattern, const Endpoint& endpoint,
                                  uint32_t rank) {
  const std::string address = filled_in(pattern, endpoint);
  if (has_space(address)) return wrong(address, "it has a space");
  if (address.rfind(kTcp, 0) == 0) return tcp_address(address, rank);
  for (const std::string_view scheme : {"ipc://", "inproc://"}) {
    if (address.rfind(scheme, 0) != 0) continue;
    if (address.size() == scheme.size()) return wrong(address, "it has no name");
    std::string ranked = rank == 0 ? address : address + "_dp" + std::to_string(rank);
    if (has_long_path(ranked)) return wrong(address, kLongPath);
    return ranked;
  }
  return wrong(address, "it begins with neither tcp:// nor ipc://");
}

Result<void> check_event_pattern(std::string_view pattern) {
  const Endpoint any{"", "host", 8000};
  const Result<std::string> address = event_address(pattern, any, 0);
  if (address) return {};
  Error error = address.error();
  if (error.message.ends_with(kHostWanted)) error.message += "; HOST stands for that of each";
  return error;
}

Result<void> check_rank_ports(std::string_view events, std::string_view replay, uint32_t ranks) {
  const auto split = [](std::string_view pattern) {
    const std::string address = filled_in(pattern, Endpoint{"", "host", 8000});
    const size_t colon = address.rfind(':');
    const auto port = parse_port(std::string_view(address).substr(colon + 1));
    return std::pair(address.substr(0, colon), address.starts_with(kTcp) ? port : std::nullopt);
  };
  const auto [events_host, first] = split(events);
  const auto [replay_host, other] = split(replay);
  if (!first || !other || events_host != replay_host) return {};
  const uint32_t apart = *first > *other ? *first - *other : *other - *first;
  if (apart >= ranks) return {};
  const auto range = [&](uint16_t from) {
    return std::to_string(from) + " to " + std::to_string(from + ranks - 1);
  };
  return Error{"with " + std::to_string(ranks) + " ranks the ports of replays, " + range(*other) +
               ", overlap those of events, " + range(*first) +
               ": each rank adds its number to both; give the engines a replay_endpoint at " +
               "least " + std::to_string(ranks) + " ports away, and name it here"};
}

Result<void> check_bind_address(std::string_view address) {
  const auto wrong = [address](const char* why) {
    return Error{"'" + std::string(address) + "': " + why};
  };
  if (has_space(address)) return wrong("it has a space");
  for (const std::string_view scheme : {"ipc://", "inproc://"}) {
    if (!address.starts_with(scheme)) continue;
    if (address == scheme) return wrong("it needs a name behind the scheme");
    if (has_long_path(address)) return wrong(kLongPath);
    return {};
  }
  if (!address.starts_with(kTcp))
    return wrong("it must begin with tcp:// or ipc://, as tcp://*:5555");
  const std::string_view place = address.substr(kTcp.size());
  const size_t colon = place.rfind(':');
  if (colon == std::string_view::npos || place.back() == ']') {
    return wrong("it needs a port, as tcp://*:5555 has");
  }
  if (colon == 0) return wrong("it needs a host, as * for every address of this machine");
  const std::string_view port = place.substr(colon + 1);
  if (is_any_port(port) || parse_port(port)) return {};
  return wrong("its port must be from 1 to 65535");
}

Result<std::string> publishing_address(const std::string& address, uint32_t rank) {
  if (rank > 0 && address.rfind("inproc://", 0) == 0) {
    return address + "_dp" + std::to_string(rank);
  }
  if (address.rfind(kTcp, 0) == 0) {
    const std::string_view port = std::string_view(address).substr(address.rfind(':') + 1);
    if (rank == 0 && is_any_port(port)) return address;
    if (const std::optional<std::string> moved = of_rank(address, rank)) return *moved;
    return Error{"'" + address + "': " + kWrongPort};
  }
  if (address.empty() || rank == 0) return address;
  return Error{"'" + address + "': rank " + std::to_string(rank) +
               " has a port of its own, which only tcp://HOST:PORT and inproc:// can have"};
}

EventTopic read_event_topic(std::string_view topic) {
  const size_t first = topic.find('@');
  const size_t second = first == std::string_view::npos ? first : topic.find('@', first + 1);
  if (second == std::string_view::npos) return {topic, std::nullopt, {}, topic};
  EventTopic read{
      topic.substr(first + 1, second - first - 1), std::nullopt, topic.substr(second + 1), {}};
  read.name = read.pod;
  // An IPv6 address without brackets has colons, and no port.
  const size_t colon = read.pod.rfind(':');
  const bool one = colon != std::string_view::npos && read.pod.find(':') == colon;
  if (one || (colon != std::string_view::npos && colon > 0 && read.pod[colon - 1] == ']')) {
    if (const std::optional<uint16_t> port = parse_port(read.pod.substr(colon + 1))) {
      read.port = port;
      read.pod = read.pod.substr(0, colon);
    }
  }
  if (read.pod.size() > 2 && read.pod.front() == '[' && read.pod.back() == ']') {
    read.pod = read.pod.substr(1, read.pod.size() - 2);
  }
  return read;
}

}  // namespace kvasir

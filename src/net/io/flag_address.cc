#include "net/io/flag_address.h"

#include <charconv>

#include "base/text.h"

namespace kvasir {
namespace {

// Without its brackets; empty: it is none.
std::string_view bare_host(std::string_view host) {
  if (host.starts_with("[") && host.ends_with("]")) return host.substr(1, host.size() - 2);
  return host.find(':') == std::string_view::npos ? host : std::string_view();
}

}  // namespace

std::optional<uint16_t> parse_port(std::string_view digits) {
  uint16_t port = 0;
  const char* end = digits.data() + digits.size();
  const auto [read, error] = std::from_chars(digits.data(), end, port);
  if (error != std::errc() || read != end || port == 0) return std::nullopt;
  return port;
}

Result<HostPort> parse_address(std::string_view text, std::string_view form) {
  // Lists are written with a blank behind the comma.
  text = trimmed(text, " ");
  const std::string quoted = "'" + std::string(text) + "'";
  const std::string advice = ": write " + std::string(form);
  const size_t colons = text.find("://");
  const bool has_scheme = colons != std::string_view::npos;
  std::string_view rest = has_scheme ? text.substr(colons + 3) : text;
  const size_t slash = rest.find('/');
  const std::string_view path = slash == std::string_view::npos ? "" : rest.substr(slash);
  rest = rest.substr(0, slash);
  // Not quoted: a password may stand there.
  if (rest.find('@') != std::string_view::npos) {
    return Error{"an address has no user name or password ('@')" + advice};
  }
  const std::string_view scheme = has_scheme ? text.substr(0, colons) : "http";
  if (equal_ignoring_case(scheme, "https")) {
    return Error{quoted + " asks for TLS, which is not spoken to workers or other servers" +
                 advice + " of its port without TLS"};
  }
  if (path.size() > 1) {
    return Error{quoted + " has a path: leave out '" + std::string(path) + "'" + advice};
  }
  const size_t colon = rest.rfind(':');
  const bool has_port = equal_ignoring_case(scheme, "http") && colon != std::string_view::npos;
  const auto port = has_port ? parse_port(rest.substr(colon + 1)) : std::nullopt;
  const std::string_view host = port ? bare_host(rest.substr(0, colon)) : std::string_view();
  if (host.empty()) return Error{quoted + " is not an address" + advice};
  return HostPort{std::string(host), *port};
}

Result<HostPort> parse_host_port(std::string_view text) {
  return parse_address(text, "HOST:PORT");
}

Result<Descriptor> listen_on_flag(std::string_view port_flag, const std::string& host,
                                  uint16_t port, bool reuse_port) {
  Result<Descriptor> socket = listen_with_advice(port_flag, host, port, reuse_port);
  if (socket) return socket;
  const bool host_is_fine = listen_tcp(host, 0, false).ok();
  const std::string flag(host_is_fine ? port_flag : "--host");
  return Error{flag + ": " + socket.error().message};
}

}  // namespace kvasir

// Addresses that a person gives with a flag: read in the form that the flag wants, and listened on
// with errors that name the flag to change.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/result.h"
#include "net/io/socket.h"

namespace kvasir {

// From 1 to 65535, in digits and nothing else; nullopt: it is none.
std::optional<uint16_t> parse_port(std::string_view digits);

// HOST:PORT, with or without http:// before it. Errors say how to write it: as `form`.
Result<HostPort> parse_address(std::string_view text, std::string_view form);
// For flags that want HOST:PORT; parse_http_origin() is for those that want http://HOST:PORT.
Result<HostPort> parse_host_port(std::string_view text);

// listen_tcp() for a port that `port_flag` gave (--metrics-port) and a host that --host gave.
// Errors begin with the flag to blame.
Result<Descriptor> listen_on_flag(std::string_view port_flag, const std::string& host,
                                  uint16_t port, bool reuse_port);
// listen_tcp() that advises to choose another port with `port_flag` when this one is in use.
Result<Descriptor> listen_with_advice(std::string_view port_flag, const std::string& host,
                                      uint16_t port, bool reuse_port);

}  // namespace kvasir

// Which ports of a program everybody can use who reaches its machine, said once at the start.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace kvasir {

struct OpenPort {
  std::string name;
  uint16_t port = 0;
};

// Empty when `host` is an address of the loopback network.
std::string open_ports_warning(const std::string& host, const std::vector<OpenPort>& ports);

}  // namespace kvasir

#include "apps/open_ports.h"

#include "net/io/socket.h"

namespace kvasir {

std::string open_ports_warning(const std::string& host, const std::vector<OpenPort>& ports) {
  if (is_loopback(host)) return {};
  std::string names;
  for (const OpenPort& port : ports) {
    names.append(names.empty() ? "" : ", ").append(port.name);
    names.append(" ").append(std::to_string(port.port));
  }
  const bool everywhere = host == "0.0.0.0" || host == "::";
  return "without authentication, open to everybody who reaches " +
         (everywhere ? "this machine" : host) + ": " + names +
         "; close them with --host 127.0.0.1, a NetworkPolicy or a firewall";
}

}  // namespace kvasir

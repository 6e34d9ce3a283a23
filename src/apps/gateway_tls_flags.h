// The flags of `kvasir gateway` about what clients speak: TLS, and HTTP/2.
#pragma once

#include <string>
#include <vector>

#include "base/result.h"
#include "gateway/gateway_options.h"

namespace CLI {
class App;
}

namespace kvasir {

struct GatewayTlsFlags {
  std::vector<std::string> cert_paths;  // empty: plain
  std::string min_version;
  std::vector<std::string> cipher_suites;
  std::string client_ca;
  std::string client_auth;  // empty: required with client_ca
  bool http2 = true;
};

void add_gateway_tls_flags(CLI::App& command, GatewayTlsFlags& flags);
// Into `options`. Errors name the flag.
Result<void> read_gateway_tls_flags(const GatewayTlsFlags& flags, GatewayOptions& options);

}  // namespace kvasir

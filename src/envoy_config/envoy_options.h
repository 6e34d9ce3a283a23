// How an Envoy is set up that follows the files of `kvasir controller`.
#pragma once

#include <cstdint>
#include <map>
#include <string>

#include "base/result.h"
#include "net/io/socket.h"

namespace kvasir {

struct EnvoyOptions {
  std::string folder;  // of the files, as Envoy sees it; absolute
  std::string listener_address = "0.0.0.0";
  std::map<uint16_t, uint16_t> ports;  // of listeners that Envoy is to have at another port
  HostPort admin{"127.0.0.1", 19000};
  // Pickers whose Service does not say how they are spoken to: without TLS.
  bool plain_pickers = false;
};

}  // namespace kvasir

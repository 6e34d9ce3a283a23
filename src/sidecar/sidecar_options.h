// What `kvasir sidecar` can be told. Every limit has its name and its default here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "handoff/handoff_options.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "net/io/socket.h"

namespace kvasir {

struct SidecarOptions {
  std::string host = "0.0.0.0";
  uint16_t port = 8000;
  HostPort decoder{"localhost", 8200};
  uint32_t threads = 1;
  HandoffOptions handoff;

  HttpServerLimits server;
  size_t bodies_bytes_max = 192 * 1024 * 1024;
  HttpClientLimits client;
  size_t candidates_most = 16;  // of one request
  // Prefill workers whose connections are kept; the least recently used go first.
  size_t prefillers_most = 1024;
  // A prefill worker that is a name is looked up again after so long.
  Duration name_lifetime = std::chrono::seconds(30);
  // Answer bytes a slow client may leave unread here before the decoder's connection is paused.
  size_t unread_bytes_max = 1024 * 1024;
  Duration drain_timeout = std::chrono::seconds(60);

  SidecarOptions() {
    server.keep_alive_timeout = std::chrono::seconds(300);
    // vLLM's server closes an unused connection after 5 s, and what is sent then is lost.
    client.keep_alive_timeout = std::chrono::seconds(4);
  }
};

}  // namespace kvasir

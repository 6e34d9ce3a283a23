// What `kvasir pd-proxy` can be told. Every limit has its name and its default here.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "handoff/handoff_options.h"
#include "net/http/http_client.h"
#include "net/http/http_server.h"
#include "net/io/socket.h"

namespace kvasir {

// How KV gets from a prefill worker to a decode worker.
enum class PdBackend : uint8_t {
  kFs,   // a folder that both see: vLLM's ExampleConnector
  kP2p,  // from one to the other, which they find in the request id: P2pNcclConnector
};

// A worker that was named at the start.
struct PdNamedWorker {
  HostPort address;
  // As it stands in request ids; kP2p: HOST:PORT of its ZeroMQ socket, empty until it registers.
  std::string name;
};

struct PdProxyOptions {
  std::string host = "0.0.0.0";
  uint16_t port = 8080;
  uint32_t threads = 1;
  PdBackend backend = PdBackend::kFs;
  std::vector<PdNamedWorker> prefill, decode;

  uint16_t registration_port = 0;  // 0: workers do not register
  // A worker that was not heard for so long is gone. They send every 3 seconds.
  Duration registration_ttl = std::chrono::seconds(10);
  size_t registered_max = 256;  // of each role

  // A worker that failed is asked last for so long.
  Duration avoid_for = std::chrono::seconds(5);

  // kFs: what one step of an engine takes. Prompts of more tokens are not transferred, and those
  // that are under way at one prefill worker have no more together, since ExampleConnector stores
  // what the first step computed of each, and the engine that loads a part breaks. 0: no limit.
  uint32_t fs_prompt_tokens_max = 2048;
  // Requests that wait for such room, of the whole proxy, and for how long each does.
  size_t fs_waiting_max = 512;
  Duration fs_wait_max = std::chrono::seconds(30);
  enum class OnLongPrompt : uint8_t { kRefuse, kDecodeAlone };
  OnLongPrompt on_long_prompt = OnLongPrompt::kRefuse;
  Duration token_count_timeout = std::chrono::seconds(2);
  size_t token_count_bytes_max = 8 * 1024 * 1024;

  HandoffOptions handoff;
  HttpServerLimits server;
  size_t bodies_bytes_max = 192 * 1024 * 1024;
  HttpClientLimits client;
  size_t clients_most = 1024;
  // A worker that is a name is looked up again after so long.
  Duration name_lifetime = std::chrono::seconds(30);
  // Answer bytes a slow client may leave unread here before the decoder's connection is paused.
  size_t unread_bytes_max = 1024 * 1024;
  // What an engine's page may take, in time and bytes.
  Duration engine_page_timeout = std::chrono::milliseconds(500);
  size_t engine_page_bytes_max = 16 * 1024 * 1024;
  Duration drain_timeout = std::chrono::seconds(60);

  PdProxyOptions() {
    handoff.dialect = KvDialect::kFolder;
    server.keep_alive_timeout = std::chrono::seconds(300);
    // vLLM's server closes an unused connection after 5 s, and what is sent then is lost.
    client.keep_alive_timeout = std::chrono::seconds(4);
  }
};

}  // namespace kvasir

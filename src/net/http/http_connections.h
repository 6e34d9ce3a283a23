// The client connections of one HttpServer, whatever they speak. Private to net/.
#pragma once

#include <atomic>
#include <functional>
#include <unordered_set>

#include "net/http/http_server.h"
#include "net/io/event_loop.h"

namespace kvasir {

class HttpConnection : public IoHandler {
 public:
  // Clients are to send their next requests elsewhere: said with the answers, or at once where the
  // protocol has a word for it.
  virtual void ask_to_leave() {}
  // Closes as soon as nothing is being read or answered.
  virtual void close_when_idle() = 0;
};

struct HttpConnections {
  EventLoop& loop;
  HttpHandler& handler;
  const HttpServerLimits limits;
  BodyBudget* const bodies;     // null: nothing but the limits of each
  const TlsContext* const tls;  // null: plain
  std::unordered_set<HttpConnection*> open{};
  bool close_after_answers = false;
  bool draining = false;
  std::function<void()> drained = nullptr;  // called once when draining and none is open
  std::atomic<size_t> count{0};             // of `open`, for other threads

  // Each belongs to the server from here until remove().
  void add(HttpConnection& connection);
  // Of a connection that closed: it is destroyed at the end of the loop's iteration.
  void remove(HttpConnection& connection);
};

}  // namespace kvasir

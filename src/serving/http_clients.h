// HTTP clients of services that are called now and then, by address: a client whose address nobody
// has called for a while goes.
//
// Lives on its loop's thread.
#pragma once

#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "net/http/http_client.h"
#include "net/io/socket.h"

namespace kvasir {

class EventLoop;

class HttpClients {
 public:
  // No call may take longer than this.
  static constexpr Duration kCallLongest = std::chrono::minutes(1);

  // `loop` must outlive it.
  explicit HttpClients(EventLoop& loop) : loop_(loop) {}

  // Valid for one call that begins now.
  HttpClient& client_for(const SocketAddress& address);

 private:
  struct Client {
    std::unique_ptr<HttpClient> client;
    TimePoint used{};
  };

  EventLoop& loop_;
  std::map<std::string, Client, std::less<>> clients_;  // by address
};

}  // namespace kvasir

#include "serving/http_clients.h"

#include "net/io/event_loop.h"

namespace kvasir {
namespace {

// Longer than any call, so that none is under way when a client goes.
constexpr Duration kClientKept = std::chrono::minutes(5);
static_assert(kClientKept > HttpClients::kCallLongest);

}  // namespace

HttpClient& HttpClients::client_for(const SocketAddress& address) {
  const TimePoint now = loop_.clock().now();
  std::erase_if(clients_,
                [now](const auto& entry) { return now - entry.second.used > kClientKept; });
  Client& client = clients_[address.key()];
  if (!client.client) client.client = std::make_unique<HttpClient>(loop_, address);
  client.used = now;
  return *client.client;
}

}  // namespace kvasir

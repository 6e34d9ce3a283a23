#include "net/http/http_client.h"

#include <utility>

#include "net/http/http1_client_connection.h"

namespace kvasir {

HttpClient::HttpClient(EventLoop& loop, const SocketAddress& address, HttpClientLimits limits,
                       TlsPeer peer)
    : pool_(new Http1Pool{loop, address, limits, std::move(peer), {}, {}, 0}) {}

HttpClient::~HttpClient() {
  for (Http1ClientConnection* connection : pool_->connections) {
    connection->detach_and_close();
    delete connection;
  }
}

HttpCall& HttpClient::start(std::string_view head, std::string_view body,
                            HttpCallObserver& observer, bool is_head_request,
                            bool fresh_connection) {
  Http1ClientConnection* connection = nullptr;
  while (!fresh_connection && connection == nullptr && !pool_->idle.empty()) {
    connection = pool_->idle.back();
    pool_->idle.pop_back();
    if (!connection->quiet()) std::exchange(connection, nullptr)->cancel();
  }
  if (connection == nullptr) {
    connection = new Http1ClientConnection(*pool_);
    pool_->connections.insert(connection);
  }
  return connection->start(head, body, observer, is_head_request);
}

size_t HttpClient::connections() const {
  return pool_->connections.size();
}

}  // namespace kvasir

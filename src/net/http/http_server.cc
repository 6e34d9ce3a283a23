#include "net/http/http_server.h"

#include <utility>
#include <vector>

#include "net/http/http_connection.h"
#include "net/io/acceptor.h"
#include "net/io/event_loop.h"

namespace kvasir {
std::string_view status_text(int status) {
  switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 206: return "Partial Content";
    case 301: return "Moved Permanently";
    case 302: return "Found";
    case 303: return "See Other";
    case 304: return "Not Modified";
    case 307: return "Temporary Redirect";
    case 308: return "Permanent Redirect";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 406: return "Not Acceptable";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 410: return "Gone";
    case 411: return "Length Required";
    case 412: return "Precondition Failed";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 417: return "Expectation Failed";
    case 422: return "Unprocessable Content";
    case 424: return "Failed Dependency";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    case 505: return "HTTP Version Not Supported";
    default: return "Unknown";
  }
}

HttpServer::HttpServer(EventLoop& loop, Descriptor listener, HttpHandler& handler,
                       HttpServerLimits limits, BodyBudget* bodies, const TlsContext* tls)
    : loop_(loop),
      handler_(handler),
      limits_(limits),
      bodies_(bodies),
      tls_(tls),
      acceptor_(std::make_unique<Acceptor>(
          loop, std::move(listener), [this] { return connections_.size() < limits_.connections; },
          [this](Descriptor socket) {
            connections_.insert(new HttpConnection(*this, std::move(socket)));
          })) {}

HttpServer::~HttpServer() {
  acceptor_.reset();
  drained_ = nullptr;
  const std::vector<HttpConnection*> open(connections_.begin(), connections_.end());
  for (HttpConnection* connection : open) {
    loop_.unwatch(connection->transport_.socket().get(), *connection);
    delete connection;
  }
}

uint16_t HttpServer::port() const { return local_port(acceptor_->listener()); }

size_t HttpServer::connections() const { return connections_.size(); }

void HttpServer::drain(std::function<void()> drained) {
  draining_ = true;
  drained_ = std::move(drained);
  acceptor_.reset();
  const std::vector<HttpConnection*> open(connections_.begin(), connections_.end());
  for (HttpConnection* connection : open) connection->close_if_idle();
  if (connections_.empty() && drained_) std::exchange(drained_, nullptr)();
}

void HttpServer::remove(HttpConnection& connection) {
  connections_.erase(&connection);
  loop_.defer([doomed = &connection] { delete doomed; });
  if (draining_ && connections_.empty() && drained_) {
    loop_.defer([drained = std::exchange(drained_, nullptr)] { drained(); });
  }
}

}  // namespace kvasir

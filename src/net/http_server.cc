#include "net/http_server.h"

#include <sys/socket.h>

#include <cerrno>
#include <vector>

#include "net/event_loop.h"
#include "net/http_connection.h"

namespace kvasir {
namespace {

// Connections taken from the kernel before other work on the loop gets its turn.
constexpr int kAcceptsPerWake = 64;
// How long to wait when the process has no descriptor left.
constexpr Duration kAcceptPause = std::chrono::milliseconds(100);

}  // namespace

std::string_view status_text(int status) {
  switch (status) {
    case 200: return "OK";
    case 202: return "Accepted";
    case 204: return "No Content";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 501: return "Not Implemented";
    case 502: return "Bad Gateway";
    case 503: return "Service Unavailable";
    case 504: return "Gateway Timeout";
    default: return "Unknown";
  }
}

class HttpServer::Acceptor final : public IoHandler {
 public:
  Acceptor(HttpServer& server, Descriptor listener) : server_(server), listener_(std::move(listener)) {
    server_.loop_.watch(listener_.get(), EPOLLIN, *this);
  }
  ~Acceptor() override {
    server_.loop_.cancel(resume_);
    if (!paused_) server_.loop_.unwatch(listener_.get(), *this);
  }

  void on_io(uint32_t) override {
    for (int i = 0; i < kAcceptsPerWake; ++i) {
      if (server_.connections_.size() >= server_.limits_.connections) return pause();
      Descriptor socket(
          accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
      if (!socket.open()) {
        if (errno == EMFILE || errno == ENFILE || errno == ENOMEM || errno == ENOBUFS) pause();
        return;
      }
      server_.connections_.insert(new HttpConnection(server_, std::move(socket)));
    }
  }

  const Descriptor& listener() const { return listener_; }

 private:
  void pause() {
    paused_ = true;
    server_.loop_.unwatch(listener_.get(), *this);
    resume_ = server_.loop_.after(kAcceptPause, [this] {
      paused_ = false;
      server_.loop_.watch(listener_.get(), EPOLLIN, *this);
    });
  }

  HttpServer& server_;
  Descriptor listener_;
  TimerId resume_ = kNoTimer;
  bool paused_ = false;
};

HttpServer::HttpServer(EventLoop& loop, Descriptor listener, HttpHandler& handler,
                       HttpServerLimits limits)
    : loop_(loop),
      handler_(handler),
      limits_(limits),
      acceptor_(std::make_unique<Acceptor>(*this, std::move(listener))) {}

HttpServer::~HttpServer() {
  acceptor_.reset();
  drained_ = nullptr;
  const std::vector<HttpConnection*> open(connections_.begin(), connections_.end());
  for (HttpConnection* connection : open) {
    loop_.unwatch(connection->socket_.get(), *connection);
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

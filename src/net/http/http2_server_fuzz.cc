// What a client of HTTP/2 may send, against the server's connection: no frames make it do anything
// but answer or close, and a request that reaches the handler reads the same when it is written as
// HTTP/1 for the next program.
//
// The input is frames (type, flags, stream, size, payload), or with an odd first byte anything.
#include <sys/socket.h>

#include <algorithm>
#include <cstdint>
#include <string>

#include "base/assert.h"
#include "net/http/hop_fields.h"
#include "net/http/http1_connection.h"
#include "net/http/http1_parser.h"
#include "net/http/http2_fixture.h"
#include "net/http/proxy_head.h"

namespace {

using namespace kvasir;

class Collector final : public Http1Parser::BodySink {
 public:
  void on_body(std::string_view bytes) override { body += bytes; }
  std::string body;
};

// As a proxy writes it.
std::string as_http1(HttpExchange& exchange) {
  const HttpHead& head = exchange.head();
  std::string text = begin_relayed_request(head, "");
  const HopFields connection(head);
  for (size_t i = 0; i < head.field_count(); ++i) {
    const HttpHead::Field field = head.field(i);
    if (connection.hold(field.name) || field.name == "Host") continue;
    append_field(text, field.name, field.value);
  }
  end_relayed_request(head, exchange.body().size(), text);
  return text.append(exchange.body());
}

class Handler final : public HttpHandler, public HttpExchange::Observer {
 public:
  void on_request(HttpExchange& exchange) override {
    const std::string text = as_http1(exchange);
    Http1Parser parser(Http1Parser::Kind::kRequest, {1 << 20, 4096});
    Collector collector;
    size_t used = 0;
    while (used < text.size() && !parser.complete()) {
      const size_t taken = parser.feed(std::string_view(text).substr(used), collector);
      KVASIR_ASSERT(taken > 0 && parser.failure() == Http1Parser::Failure::kNone, "it is HTTP/1");
      used += taken;
    }
    KVASIR_ASSERT(used == text.size() && parser.complete(), "it is one request, and no more");
    KVASIR_ASSERT(parser.head().method() == exchange.head().method(), "same method");
    KVASIR_ASSERT(parser.head().target() == exchange.head().target(), "same target");
    KVASIR_ASSERT(collector.body == exchange.body(), "same body");
    answer(exchange);
  }
  Refusal on_refused(int, std::string_view) override { return {"", "no"}; }
  void on_client_gone() override {}

 private:
  void answer(HttpExchange& exchange) {
    switch (exchange.body().size() % 4) {
      case 0:
        return exchange.respond(200, "x-a: 1\r\n", exchange.body());
      case 1:
        exchange.start(200, "");
        exchange.write(std::string(100'000, 'x'));
        return exchange.finish("x-b: 2\r\n");
      case 2:
        exchange.start(200, "");
        exchange.write("x");
        return exchange.abort();
      default:
        exchange.set_observer(this);  // never answered
    }
  }
};

std::string frames_of(std::string_view input) {
  std::string frames = http2_hello();
  while (input.size() >= 4) {
    const auto byte = [&](size_t i) { return static_cast<uint8_t>(input[i]); };
    const size_t size = std::min<size_t>(byte(3), input.size() - 4);
    frames += http2_frame(byte(0) % 11, byte(1), byte(2) % 16, input.substr(4, size));
    input.remove_prefix(4 + size);
  }
  return frames;
}

void turn(EventLoop& loop, int times) {
  for (int i = 0; i < times; ++i) {
    loop.post([&loop] { loop.stop(); });
    loop.run();
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  constexpr size_t kInputMost = 32 * 1024;  // fits a socket's buffer
  if (size < 2 || size > kInputMost) return 0;
  static const auto loop = std::move(EventLoop::create().value());
  static Handler handler;
  const std::string_view input(reinterpret_cast<const char*>(data) + 1, size - 1);
  const std::string bytes = data[0] % 2 == 0 ? frames_of(input) : http2_hello().append(input);
  HttpServerLimits limits;
  limits.head_bytes = 2000;
  limits.body_bytes = 2000;
  HttpConnections connections{*loop, handler, limits, nullptr, nullptr};
  int ends[2];
  KVASIR_ASSERT(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0,
                "two ends");
  Descriptor client(ends[0]);
  connections.add(*new Http1Connection(connections, Descriptor(ends[1])));
  for (std::string_view rest = bytes; !rest.empty();) {
    const ssize_t sent =
        send(client.get(), rest.data(), std::min<size_t>(rest.size(), 4096), MSG_NOSIGNAL);
    if (sent < 0) break;
    rest.remove_prefix(static_cast<size_t>(sent));
    turn(*loop, 2);
  }
  turn(*loop, 2);
  client = Descriptor();
  turn(*loop, 4);
  KVASIR_ASSERT(connections.open.empty(), "a client that is gone leaves nothing");
  return 0;
}

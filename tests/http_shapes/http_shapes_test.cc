// Sends every shape of the table through a gateway, with raw sockets before and behind it.
#include "http_shapes.h"

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <list>
#include <sstream>

#include "gateway/gateway_fixture.h"
#include "net/http/http2_fixture.h"
#include "net/http/http_fixture.h"

namespace kvasir {
namespace {

constexpr char kPlainAnswer[] = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";
// Of 1 ms each, before a shape that is not over is given up.
constexpr int kTicksMax = 5000;

// Where a message with Content-Length or none ends in `bytes`; npos: not yet.
size_t message_end(std::string_view bytes) {
  const size_t head = bytes.find("\r\n\r\n");
  if (head == std::string_view::npos) return std::string_view::npos;
  size_t end = head + 4;
  const size_t length = bytes.substr(0, end).find("Content-Length: ");
  if (length != std::string_view::npos)
    end += std::strtoull(bytes.data() + length + 16, nullptr, 10);
  return end <= bytes.size() ? end : std::string_view::npos;
}

// Keeps what it receives, answers what it is told; health checks and metrics apart.
class RawWorker final : public IoHandler {
 public:
  explicit RawWorker(EventLoop& loop)
      : loop_(loop), listener_(listen_tcp("127.0.0.1", 0, false).value()) {
    loop_.watch(listener_.get(), EPOLLIN, *this);
  }
  ~RawWorker() override {
    connections_.clear();
    loop_.unwatch(listener_.get(), *this);
  }
  uint16_t port() const { return local_port(listener_); }

  void on_io(uint32_t) override {
    Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (socket.open())
      connections_.push_back(std::make_unique<Connection>(*this, std::move(socket)));
  }

  void forget() {
    received.clear();
    used.clear();
  }
  std::string answer = kPlainAnswer;
  bool closes = false;  // behind the answer
  std::string received;
  std::vector<const void*> used;  // the connection of each request

 private:
  struct Connection final : IoHandler {
    Connection(RawWorker& owner, Descriptor taken) : worker(owner), socket(std::move(taken)) {
      worker.loop_.watch(socket.get(), EPOLLIN, *this);
    }
    ~Connection() override { end(); }
    void end() {
      if (!socket.open()) return;
      worker.loop_.unwatch(socket.get(), *this);
      socket = Descriptor();
    }
    void on_io(uint32_t) override {
      send({});
      char buffer[65536];
      const ssize_t count = recv(socket.get(), buffer, sizeof buffer, 0);
      if (count < 0 && errno == EAGAIN) return;
      if (count <= 0) return end();
      input.append(buffer, static_cast<size_t>(count));
      for (size_t size; socket.open() && (size = message_end(input)) != std::string::npos;) {
        serve(input.substr(0, size));
        input.erase(0, size);
      }
    }
    void serve(const std::string& request) {
      if (request.starts_with("GET /health ") || request.starts_with("GET /metrics "))
        return send(kPlainAnswer);
      worker.received += request;
      worker.used.push_back(this);
      send(worker.answer);
      if (worker.closes && output.empty()) end();
    }
    // What the gateway does not read may stay unsent: it closes then.
    void send(std::string_view bytes) {
      output.append(bytes);
      const ssize_t sent =
          ::send(socket.get(), output.data(), output.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent > 0) output.erase(0, static_cast<size_t>(sent));
      worker.loop_.modify(socket.get(), output.empty() ? EPOLLIN : EPOLLIN | EPOLLOUT, *this);
    }
    RawWorker& worker;
    Descriptor socket;
    std::string input, output;
  };

  EventLoop& loop_;
  Descriptor listener_;
  std::list<std::unique_ptr<Connection>> connections_;
};

// The statuses of the whole answers in `bytes`: "100 200".
std::string statuses(std::string_view bytes, bool to_head) {
  std::string all;
  while (bytes.starts_with("HTTP/1.1 ")) {
    const size_t end = to_head ? bytes.find("\r\n\r\n") : message_end(bytes);
    if (end == std::string_view::npos) break;
    all.append(all.empty() ? "" : " ").append(bytes.substr(9, 3));
    bytes.remove_prefix(std::min(bytes.size(), to_head ? end + 4 : end));
  }
  return all;
}

// What became of the streams, and of their connection.
std::string outcomes(const Http2Hearing& hearing, bool closed) {
  std::string all;
  for (const auto& stream : hearing.streams) {
    const std::string one = stream.second.outcome();
    if (hearing.goaway <= 0) all.append(all.empty() || one.empty() ? "" : ", ").append(one);
  }
  if (hearing.goaway > 0) return "connection error " + std::to_string(hearing.goaway);
  return closed && all.empty() ? "closed" : all;
}

// An answer without the fields that the gateway adds.
std::string without_own_fields(std::string answer) {
  for (const char* name : {"x-request-id: ", "x-selected-pod: ", "x-scheduling-time-ms: ",
                           "x-cache-prefix-length: "}) {
    const size_t begin = answer.find(name);
    if (begin == std::string::npos || begin > answer.find("\r\n\r\n")) continue;
    answer.erase(begin, answer.find("\r\n", begin) + 2 - begin);
  }
  return answer;
}

class HttpShapes : public GatewayTest {
 protected:
  HttpShapes() : worker_(*loop_) {
    options_.pool.feeds.endpoints = {worker_at(worker_.port())};
    options_.pool.feeds.eject_outliers = false;  // one worker, which is to be asked again
  }

  void fresh_gateway() {
    client_.reset();
    gateway_.reset();
    probe_.forget();
    worker_.forget();
    worker_.answer = kPlainAnswer;
    worker_.closes = false;
    start(1);
  }

  void tick() {
    loop_->after(std::chrono::milliseconds(1), [this] { loop_->stop(); });
    loop_->run();
  }
  // False: not within the time.
  bool comes(const std::function<bool()>& event) {
    for (int ticks = 0; ticks < kTicksMax; ++ticks) {
      if (event()) return true;
      tick();
    }
    return false;
  }

  // Sends without waiting: what the gateway does not take any more is not needed.
  static void send(RawClient& client, EventLoop& loop, std::string_view bytes) {
    while (!bytes.empty()) {
      const size_t sent = client.send_some(bytes);
      bytes.remove_prefix(sent);
      if (client.broken()) return;
      loop.after(std::chrono::milliseconds(1), [&loop] { loop.stop(); });
      loop.run();
    }
  }

  void check(const RequestShape& shape) {
    fresh_gateway();
    RawClient client(gateway_->port());
    send(client, *loop_, shape.bytes);
    if (shape.half_close) client.end_sending();
    const bool to_head = shape.bytes.starts_with("HEAD ");
    EXPECT_TRUE(comes([&] { return statuses(client.received(), to_head) == shape.statuses; }))
        << client.received();
    for (int i = 0; i < 3; ++i) tick();  // nothing more may come
    EXPECT_EQ(statuses(client.received(), to_head), shape.statuses);
    std::string expected = shape.forwarded;
    if (const size_t mark = expected.find("{worker}"); mark != std::string::npos) {
      expected.replace(mark, 8, "127.0.0.1:" + std::to_string(worker_.port()));
    }
    EXPECT_EQ(worker_.received, expected);
    if (shape.routing == RequestShape::Routing::kAny) return;
    ASSERT_EQ(probe_.finished.size(), 1u);
    EXPECT_EQ(probe_.finished.front().inference,
              shape.routing == RequestShape::Routing::kInference);
  }

  void check(const Http2Shape& shape) {
    fresh_gateway();
    RawClient client(gateway_->port());
    Http2Hearing hearing;
    const auto outcome = [&] {
      const bool closed = client.ended();
      hearing.hear(client.received());
      return outcomes(hearing, closed);
    };
    send(client, *loop_, http2_hello());
    EXPECT_TRUE(comes([&] { return outcome().empty() && !hearing.settings.empty(); }));
    send(client, *loop_, shape.frames);
    EXPECT_TRUE(comes([&] { return outcome() == shape.outcome; })) << outcome();
    for (int i = 0; i < 3; ++i) tick();  // nothing more may come
    EXPECT_EQ(outcome(), shape.outcome);
    EXPECT_EQ(worker_.received, shape.forwarded);
  }

  void check(const AnswerShape& shape) {
    fresh_gateway();
    worker_.answer = shape.bytes;
    worker_.closes = shape.end == AnswerShape::End::kClose;
    RawClient client(gateway_->port());
    client.send(shape.request);
    EXPECT_TRUE(comes([&] { return client.ended(); })) << client.received();
    const std::string received = without_own_fields(client.received());
    if (shape.received.size() == 3) {
      EXPECT_EQ(received.substr(0, 12), "HTTP/1.1 " + shape.received);
    } else {
      EXPECT_EQ(received, shape.received);
    }
    ASSERT_FALSE(worker_.used.empty());
    const void* const before = worker_.used.back();

    // The next client gets the next answer, on that connection or on another.
    worker_.answer = kPlainAnswer;
    worker_.closes = false;
    worker_.used.clear();
    EXPECT_TRUE(comes([&] { return probe_.healthy == 1; }));
    RawClient next(gateway_->port());
    next.send("GET /next HTTP/1.1\r\nHost: g\r\nConnection: close\r\n\r\n");
    EXPECT_TRUE(comes([&] { return next.ended(); }));
    EXPECT_EQ(without_own_fields(next.received()),
              "HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: close\r\n\r\nok");
    ASSERT_FALSE(worker_.used.empty());
    EXPECT_EQ(worker_.used.back() == before, shape.kept);
  }

  RawWorker worker_;
};

TEST_F(HttpShapes, RequestsAreRelayedOrRefusedAsTheTableSays) {
  for (const RequestShapes& group : request_shapes()) {
    for (const RequestShape& shape : group.shapes) {
      SCOPED_TRACE(group.title + ": " + shape.name);
      check(shape);
    }
  }
}

TEST_F(HttpShapes, StreamsAreRelayedOrRefusedAsTheTableSays) {
  for (const Http2Shapes& group : http2_shapes()) {
    for (const Http2Shape& shape : group.shapes) {
      SCOPED_TRACE(group.title + ": " + shape.name);
      check(shape);
    }
  }
}

TEST_F(HttpShapes, AnswersAreRelayedOrRefusedAsTheTableSays) {
  for (const AnswerShapes& group : answer_shapes()) {
    for (const AnswerShape& shape : group.shapes) {
      SCOPED_TRACE(group.title + ": " + shape.name);
      check(shape);
    }
  }
}

// A row of a Markdown table.
std::string row(const std::string& name, std::string decision, const std::string& reason) {
  std::string text = "| " + name + " | " + decision + " | " + reason + " |\n";
  return text;
}

std::string escaped(std::string text) {
  for (size_t i = 0; i < text.size(); ++i) {
    if (std::string_view("\\*_`|<>").find(text[i]) == std::string_view::npos) continue;
    text.insert(i++, "\\");
  }
  return text;
}

std::string table_head(const std::string& title) {
  return "### " + title + "\n\n| shape | decision | reason |\n|---|---|---|\n";
}

std::string decision(const RequestShape& shape) {
  if (shape.forwarded.empty()) return "refused: " + shape.statuses;
  const bool plain = shape.statuses == "200" || shape.statuses == "200 200";
  return "relayed" + (shape.detail.empty() ? "" : " " + escaped(shape.detail)) +
         (plain ? "" : "; answers " + shape.statuses);
}

// The codes that occur in the table (RFC 9113, 7).
std::string with_code_names(std::string outcome) {
  const std::pair<std::string, std::string> names[] = {
      {"reset 1", "RST_STREAM PROTOCOL_ERROR"},
      {"connection error 11", "GOAWAY ENHANCE_YOUR_CALM"},
      {"connection error 1", "GOAWAY PROTOCOL_ERROR"},
      {"connection error 3", "GOAWAY FLOW_CONTROL_ERROR"},
      {"connection error 6", "GOAWAY FRAME_SIZE_ERROR"},
      {"closed", "connection closed"}};
  for (const auto& one : names) {
    if (outcome == one.first) return escaped(one.second);
  }
  return outcome;
}

std::string decision(const Http2Shape& shape) {
  if (shape.outcome.empty()) return "not relayed";
  if (shape.forwarded.empty()) return "refused: " + with_code_names(shape.outcome);
  return "relayed" + (shape.detail.empty() ? "" : " " + escaped(shape.detail)) +
         (shape.outcome == "200" ? "" : "; answers " + shape.outcome);
}

std::string decision(const AnswerShape& shape) {
  std::string text = shape.received.size() == 3 ? "refused: " + shape.received : "relayed";
  if (!shape.detail.empty()) text += " " + escaped(shape.detail);
  return text + (shape.kept ? "" : "; connection closed");
}

std::string documentation() {
  std::string text = "## Requests\n";
  for (const RequestShapes& group : request_shapes()) {
    text += "\n" + table_head(group.title);
    for (const RequestShape& shape : group.shapes) {
      text += row(escaped(shape.name), decision(shape), escaped(shape.reason));
    }
  }
  for (const Http2Shapes& group : http2_shapes()) {
    text += "\n" + table_head(group.title);
    for (const Http2Shape& shape : group.shapes) {
      text += row(escaped(shape.name), decision(shape), escaped(shape.reason));
    }
  }
  text += "\n## Answers\n";
  for (const AnswerShapes& group : answer_shapes()) {
    text += "\n" + table_head(group.title);
    for (const AnswerShape& shape : group.shapes) {
      text += row(escaped(shape.name), decision(shape), escaped(shape.reason));
    }
  }
  return text;
}

// HTTP_SHAPES_WRITE=1 writes the tables into the document.
TEST(HttpShapesDocument, ShowsTheTable) {
  const char* root = std::getenv("KVASIR_SOURCE_DIR");
  const std::string path = std::string(root != nullptr ? root : ".") + "/docs/HTTP.md";
  std::ifstream file(path);
  std::string text{std::istreambuf_iterator<char>(file), std::istreambuf_iterator<char>()};
  const size_t begin = text.find("## Requests\n");
  ASSERT_NE(begin, std::string::npos) << path;
  if (std::getenv("HTTP_SHAPES_WRITE") != nullptr) {
    text = text.substr(0, begin) + documentation();
    std::ofstream(path) << text;
  }
  EXPECT_EQ(text.substr(begin), documentation()) << "write it anew: HTTP_SHAPES_WRITE=1 "
                                                 << "http_shapes_test";
  size_t shapes = 0;
  for (const RequestShapes& group : request_shapes()) shapes += group.shapes.size();
  for (const AnswerShapes& group : answer_shapes()) shapes += group.shapes.size();
  EXPECT_GE(shapes, 80u);
}

}  // namespace
}  // namespace kvasir

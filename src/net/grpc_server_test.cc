// The server against an nghttp2 client on the same machine, and against bytes that are not HTTP/2.
#include "net/grpc_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/tcp.h>
#include <nghttp2/nghttp2.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "net/event_loop.h"
#include "net/grpc_framing.h"
#include "net/grpc_health.h"

namespace kvasir {
namespace {

std::string framed(std::string_view message) {
  const auto head = grpc_frame_head(static_cast<uint32_t>(message.size()));
  return std::string(head.data(), head.size()).append(message);
}

// Sends every message back; "finish" ends the call with NOT_FOUND.
class EchoService final : public GrpcService {
 public:
  void on_call(GrpcCall& call) override { call.set_observer(*new Echo(*this, call)); }
  int gone = 0;

 private:
  class Echo final : public GrpcCall::Observer {
   public:
    Echo(EchoService& service, GrpcCall& call) : service_(service), call_(call) {}
    void on_message(std::string_view message) override {
      if (message == "finish") return end(GrpcCode::kNotFound, "nothing here: 100%");
      call_.send(message.substr(0, message.size() / 2), message.substr(message.size() / 2));
    }
    void on_half_close() override { end(GrpcCode::kOk, ""); }
    void on_gone() override {
      ++service_.gone;
      delete this;
    }

   private:
    void end(GrpcCode code, std::string_view message) {
      call_.finish(code, message);
      delete this;
    }
    EchoService& service_;
    GrpcCall& call_;
  };
};

// A blocking HTTP/2 client of one connection.
class Client {
 public:
  struct Answer {
    std::map<std::string, std::string> fields;
    std::string body;
    bool closed = false;
    uint32_t error = 0;
  };

  explicit Client(uint16_t port) {
    socket_ = socket(AF_INET, SOCK_STREAM, 0);
    const SocketAddress address = resolve("127.0.0.1", port).value();
    EXPECT_EQ(connect(socket_, reinterpret_cast<const sockaddr*>(&address.storage), address.size), 0);
    const int on = 1;
    setsockopt(socket_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    nghttp2_session_callbacks* callbacks;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, &Client::on_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, &Client::on_data);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, &Client::on_close);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, &Client::on_frame);
    nghttp2_session_client_new(&session_, callbacks, this);
    nghttp2_session_callbacks_del(callbacks);
    const nghttp2_settings_entry window = {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, 1 << 24};
    nghttp2_submit_settings(session_, 0, &window, 1);
  }
  ~Client() {
    nghttp2_session_del(session_);
    close(socket_);
  }

  int32_t call(const std::string& path, std::string body, const std::string& type = "application/grpc",
               bool half_close = true) {
    Upload& upload = uploads_.emplace_back(new Upload{std::move(body), 0, half_close}).operator*();
    nghttp2_data_provider provider{};
    provider.source.ptr = &upload;
    provider.read_callback = &Client::read_upload;
    const nghttp2_nv head[] = {field(":method", "POST"), field(":scheme", "http"), field(":path", path),
                               field(":authority", "test"),
                               field("te", "trailers"), field("content-type", type)};
    return nghttp2_submit_request(session_, nullptr, head, std::size(head), &provider, nullptr);
  }
  void reset(int32_t stream) { nghttp2_submit_rst_stream(session_, 0, stream, NGHTTP2_CANCEL); }
  void ping() { nghttp2_submit_ping(session_, 0, nullptr); }

  // Runs until the condition holds or ten seconds are over.
  bool run_until(const std::function<bool()>& done) {
    for (int i = 0; i < 10000 && !done(); ++i) {
      if (nghttp2_session_send_all() < 0) return done();
      pollfd ready{socket_, POLLIN, 0};
      if (poll(&ready, 1, 1) <= 0) continue;
      char bytes[16384];
      const ssize_t count = recv(socket_, bytes, sizeof bytes, 0);
      if (count <= 0) {
        ended = true;
        return done();
      }
      nghttp2_session_mem_recv(session_, reinterpret_cast<uint8_t*>(bytes), static_cast<size_t>(count));
    }
    return done();
  }
  Answer& finish(int32_t stream) {
    EXPECT_TRUE(run_until([&] { return answers[stream].closed; }));
    return answers[stream];
  }

  std::map<int32_t, Answer> answers;
  int pongs = 0;
  bool goaway = false;
  bool ended = false;

 private:
  struct Upload {
    std::string bytes;
    size_t sent;
    bool half_close;
  };
  static Client& self(void* user) { return *static_cast<Client*>(user); }
  static nghttp2_nv field(std::string_view name, std::string_view value) {
    return {reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
            reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(), value.size(), 0};
  }
  int nghttp2_session_send_all() {
    const uint8_t* data;
    ssize_t size;
    while ((size = nghttp2_session_mem_send(session_, &data)) > 0) {
      if (send(socket_, data, static_cast<size_t>(size), MSG_NOSIGNAL) != size) return -1;
    }
    return 0;
  }
  static ssize_t read_upload(nghttp2_session*, int32_t, uint8_t* into, size_t room, uint32_t* flags,
                             nghttp2_data_source* source, void*) {
    auto& upload = *static_cast<Upload*>(source->ptr);
    const size_t size = upload.bytes.copy(reinterpret_cast<char*>(into), room, upload.sent);
    upload.sent += size;
    if (upload.sent == upload.bytes.size() && upload.half_close) *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (size == 0 && !upload.half_close) return NGHTTP2_ERR_DEFERRED;
    return static_cast<ssize_t>(size);
  }
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
                       const uint8_t* value, size_t value_size, uint8_t, void* user) {
    self(user).answers[frame->hd.stream_id].fields[std::string(name, name + name_size)] =
        std::string(value, value + value_size);
    return 0;
  }
  static int on_data(nghttp2_session*, uint8_t, int32_t id, const uint8_t* data, size_t size, void* user) {
    self(user).answers[id].body.append(data, data + size);
    return 0;
  }
  static int on_close(nghttp2_session*, int32_t id, uint32_t error, void* user) {
    self(user).answers[id].closed = true;
    self(user).answers[id].error = error;
    return 0;
  }
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_PING && (frame->hd.flags & NGHTTP2_FLAG_ACK)) ++self(user).pongs;
    if (frame->hd.type == NGHTTP2_GOAWAY) self(user).goaway = true;
    return 0;
  }

  int socket_;
  nghttp2_session* session_ = nullptr;
  std::vector<std::unique_ptr<Upload>> uploads_;
};

class GrpcServerTest : public ::testing::Test {
 protected:
  GrpcServerTest() : loop_(std::move(EventLoop::create().value())) {}
  ~GrpcServerTest() override { stop(); }

  uint16_t start(GrpcServerLimits limits = {}) {
    std::vector<GrpcRoute> routes = health_.routes();
    routes.push_back({"/test.Echo/Echo", &echo_});
    server_ = std::make_unique<GrpcServer>(*loop_, std::move(listen_tcp("127.0.0.1", 0, false).value()),
                                           routes, limits);
    thread_ = std::thread([this] { loop_->run(); });
    return server_->port();
  }
  void stop() {
    if (!thread_.joinable()) return;
    loop_->post([this] { server_.reset(); });
    loop_->stop();
    thread_.join();
  }

  std::unique_ptr<EventLoop> loop_;
  EchoService echo_;
  GrpcHealthService health_{[](std::string_view name) {
    return name == "down" ? GrpcHealth::kNotServing
                          : name == "no" ? GrpcHealth::kServiceUnknown : GrpcHealth::kServing;
  }};
  std::unique_ptr<GrpcServer> server_;
  std::thread thread_;
};

TEST_F(GrpcServerTest, MessagesGoBothWaysAndTheCallEnds) {
  Client client(start());
  for (const size_t size : {size_t{0}, size_t{10}, size_t{5000}, size_t{20000}, size_t{3000000}}) {
    const std::string body = framed("first") + framed(std::string(size, 'x')) + framed("last");
    Client::Answer& answer = client.finish(client.call("/test.Echo/Echo", body));
    EXPECT_EQ(answer.body, body) << size;
    EXPECT_EQ(answer.fields[":status"], "200");
    EXPECT_EQ(answer.fields["content-type"], "application/grpc");
    EXPECT_EQ(answer.fields["grpc-status"], "0");
  }
}

TEST_F(GrpcServerTest, ManyCallsShareAConnection) {
  Client client(start());
  std::vector<int32_t> calls;
  for (int i = 0; i < 1000; ++i) {
    calls.push_back(client.call("/test.Echo/Echo", framed(std::to_string(i))));
  }
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(client.finish(calls[static_cast<size_t>(i)]).body, framed(std::to_string(i)));
  }
}

TEST_F(GrpcServerTest, RefusalsCarryTheirCode) {
  GrpcServerLimits limits;
  limits.message_bytes = 1000;
  Client client(start(limits));
  struct Case {
    const char* path;
    std::string body;
    const char* type;
    const char* status;
    const char* code;
  };
  const Case cases[] = {
      {"/no.Such/Method", "", "application/grpc", "200", "12"},
      {"/grpc.health.v1.Health/Watch", framed(""), "application/grpc+proto", "200", "12"},
      {"/test.Echo/Echo", "", "application/json", "415", ""},
      {"/test.Echo/Echo", "", "application/grpc-web", "415", ""},
      {"/test.Echo/Echo", std::string("\1\0\0\0\1x", 6), "application/grpc", "200", "12"},
      {"/test.Echo/Echo", std::string("\7\0\0\0\1x", 6), "application/grpc", "200", "13"},
      {"/test.Echo/Echo", framed(std::string(1001, 'x')), "application/grpc", "200", "8"},
      {"/test.Echo/Echo", framed("cut off").substr(0, 8), "application/grpc", "200", "13"},
      {"/test.Echo/Echo", framed("finish"), "application/grpc", "200", "5"},
  };
  for (const Case& one : cases) {
    Client::Answer& answer = client.finish(client.call(one.path, one.body, one.type));
    EXPECT_EQ(answer.fields[":status"], one.status) << one.path;
    EXPECT_EQ(answer.fields["grpc-status"], one.code) << one.path;
  }
  const int32_t last = client.call("/test.Echo/Echo", framed("finish"));
  EXPECT_EQ(client.finish(last).fields["grpc-message"], "nothing here: 100%25");
}

TEST_F(GrpcServerTest, HealthAnswersByService) {
  Client client(start());
  const std::string path = "/grpc.health.v1.Health/Check";
  EXPECT_EQ(client.finish(client.call(path, framed(""))).body, framed("\x08\x01"));
  EXPECT_EQ(client.finish(client.call(path, framed("\x0a\x04" "down"))).body, framed("\x08\x02"));
  EXPECT_EQ(client.finish(client.call(path, framed("\x0a\x02no"))).fields["grpc-status"], "5");
  EXPECT_EQ(client.finish(client.call(path, framed("\x0a\x09no"))).fields["grpc-status"], "3");
}

// Envoy ends each of its streams so; nghttp2's own guard would cut the connection after a thousand.
TEST_F(GrpcServerTest, ThousandsOfResetsAreNoReasonToClose) {
  Client client(start());
  for (int i = 0; i < 3000; ++i) {
    const int32_t stream = client.call("/test.Echo/Echo", framed("x"), "application/grpc", false);
    ASSERT_TRUE(client.run_until([&] { return client.answers[stream].body == framed("x"); })) << i;
    client.reset(stream);
  }
  EXPECT_EQ(client.finish(client.call("/test.Echo/Echo", framed("y"))).body, framed("y"));
  EXPECT_FALSE(client.goaway);
  stop();
  EXPECT_EQ(echo_.gone, 3000);
}

TEST_F(GrpcServerTest, PingsAreAnsweredAndDrainSaysGoaway) {
  Client client(start());
  client.ping();
  EXPECT_TRUE(client.run_until([&] { return client.pongs == 1; }));
  const int32_t open = client.call("/test.Echo/Echo", framed("x"), "application/grpc", false);
  ASSERT_TRUE(client.run_until([&] { return !client.answers[open].body.empty(); }));
  loop_->post([this] { server_->drain([] {}); });
  EXPECT_TRUE(client.run_until([&] { return client.goaway; }));
  client.reset(open);
  EXPECT_TRUE(client.run_until([&] { return client.ended; }));
}

TEST_F(GrpcServerTest, GarbageEndsOnlyItsOwnConnection) {
  const uint16_t port = start();
  std::mt19937 random(7);
  const std::string preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
  for (int i = 0; i < 300; ++i) {
    const int plain = socket(AF_INET, SOCK_STREAM, 0);
    const SocketAddress address = resolve("127.0.0.1", port).value();
    ASSERT_EQ(connect(plain, reinterpret_cast<const sockaddr*>(&address.storage), address.size), 0);
    std::string bytes = i % 3 == 0 ? "" : preface;
    for (int j = 0; j < 20; ++j) {
      const size_t size = random() % 40;
      if (i % 3 == 2) bytes.append({0, 0, static_cast<char>(size), static_cast<char>(random() % 10),
                                    static_cast<char>(random()), 0, 0, 0, static_cast<char>(random() % 4)});
      for (size_t k = 0; k < size; ++k) bytes += static_cast<char>(random());
    }
    send(plain, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    close(plain);
  }
  Client client(port);
  EXPECT_EQ(client.finish(client.call("/test.Echo/Echo", framed("alive"))).body, framed("alive"));
}

}  // namespace
}  // namespace kvasir

// The server against an nghttp2 client on the same machine, and against bytes that are not HTTP/2.
#include "net/grpc/grpc_server.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "net/grpc/grpc_fixture.h"
#include "net/grpc/grpc_health.h"
#include "net/io/event_loop.h"

namespace kvasir {
namespace {

using Client = GrpcTestClient;

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

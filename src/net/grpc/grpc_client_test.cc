// The client against our own server, and against sockets that are no gRPC server.
#include "net/grpc/grpc_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "net/grpc/grpc_server.h"
#include "net/io/event_loop.h"
#include "net/io/tls_fixture.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

// Sends every message back. "finish" ends with NOT_FOUND, "silence" is not answered.
class EchoService final : public GrpcService {
 public:
  void on_call(GrpcCall& call) override {
    ++calls;
    call.set_observer(*new Echo(*this, call));
  }
  int calls = 0;
  int gone = 0;
  std::string token;

 private:
  class Echo final : public GrpcCall::Observer {
   public:
    Echo(EchoService& service, GrpcCall& call) : service_(service), call_(call) {
      service.token = call.metadata("x-token").value_or("");
    }
    void on_message(std::string_view message) override {
      if (message == "silence") return;
      if (message == "finish") return end(GrpcCode::kNotFound, "nothing: 100%");
      call_.send(message);
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

struct Hearer final : GrpcClientCall::Observer {
  void on_message(std::string_view message) override {
    messages.emplace_back(message);
    if (then) then();
  }
  void on_end(const GrpcStatus& ended) override {
    EXPECT_FALSE(over);
    status = ended;
    over = true;
    if (then) then();
  }
  std::vector<std::string> messages;
  GrpcStatus status;
  bool over = false;
  std::function<void()> then;
};

class GrpcClientTest : public ::testing::Test {
 protected:
  GrpcClientTest() : loop_(std::move(EventLoop::create().value())) {}

  uint16_t serve(GrpcServerLimits limits = {}, const TlsContext* tls = nullptr) {
    const std::vector<GrpcRoute> routes = {{"/test.Echo/Echo", &echo_}};
    server_ = std::make_unique<GrpcServer>(
        *loop_, std::move(listen_tcp("127.0.0.1", port_, false).value()), routes, limits, tls);
    port_ = server_->port();
    return port_;
  }
  void connect(uint16_t port, GrpcClientLimits limits = {}, const TlsPeer& peer = {}) {
    client_ = std::make_unique<GrpcClient>(*loop_, resolve("127.0.0.1", port).value(),
                                           "127.0.0.1:" + std::to_string(port), limits, peer);
  }
  GrpcClientCall& start(Hearer& hearer, Duration timeout = std::chrono::seconds(20)) {
    return client_->start("/test.Echo/Echo", hearer, timeout, {{"x-token", "t"}});
  }
  // Runs until the condition holds, or fails after 20 seconds.
  void run_until(const std::function<bool()>& done) {
    bool late = false;
    const TimerId guard = loop_->after(std::chrono::seconds(20), [&] { late = true; });
    const std::function<void()> look = [&] {
      if (done() || late) return loop_->stop();
      loop_->post(look);
    };
    loop_->post(look);
    loop_->run();
    loop_->cancel(guard);
    ASSERT_FALSE(late) << "nothing more came";
  }

  std::unique_ptr<EventLoop> loop_;
  EchoService echo_;
  uint16_t port_ = 0;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<GrpcClient> client_;
};

TEST_F(GrpcClientTest, MessagesGoBothWaysWhole) {
  connect(serve());
  Hearer hearer;
  GrpcClientCall& call = start(hearer);
  std::vector<std::string> sent;
  for (const size_t size : {0, 10, 5000, 70000, 3000000}) {
    sent.emplace_back(size, 'x');
    call.send(sent.back().substr(0, size / 3), sent.back().substr(size / 3));
  }
  call.half_close();
  run_until([&] { return hearer.over; });
  EXPECT_EQ(hearer.messages, sent);
  EXPECT_TRUE(hearer.status.ok() && hearer.status.from_server);
  EXPECT_EQ(echo_.token, "t");
}

TEST_F(GrpcClientTest, ThousandsOfCallsShareOneConnection) {
  connect(serve());
  std::vector<Hearer> hearers(3000);
  for (size_t i = 0; i < hearers.size(); ++i) {
    GrpcClientCall& call = start(hearers[i]);
    call.send(std::to_string(i));
    call.half_close();
  }
  run_until([&] {
    for (const Hearer& hearer : hearers) {
      if (!hearer.over) return false;
    }
    return true;
  });
  for (size_t i = 0; i < hearers.size(); ++i) {
    ASSERT_EQ(hearers[i].messages, std::vector<std::string>{std::to_string(i)});
  }
  EXPECT_EQ(client_->connections(), 1u);
}

TEST_F(GrpcClientTest, TrailersOnlyAnswersAndLateOnesCarryTheStatus) {
  connect(serve());
  Hearer at_once, later, unknown;
  start(at_once).send("finish");
  GrpcClientCall& call = start(later);
  call.send("first");
  call.send("finish");
  client_->start("/no.Such/Method", unknown, std::chrono::seconds(20));
  run_until([&] { return at_once.over && later.over && unknown.over; });
  for (const Hearer* hearer : {&at_once, &later}) {
    EXPECT_EQ(hearer->status.code, 5u);
    EXPECT_EQ(hearer->status.message, "nothing: 100%");
    EXPECT_TRUE(hearer->status.from_server);
  }
  EXPECT_EQ(later.messages.size(), 1u);
  EXPECT_EQ(unknown.status.code, 12u);
}

TEST_F(GrpcClientTest, DeadlinesEndACallOnBothSides) {
  connect(serve());
  Hearer hearer;
  start(hearer, std::chrono::milliseconds(20)).send("silence");
  run_until([&] { return hearer.over && echo_.gone == 1; });
  EXPECT_EQ(hearer.status.code, 4u);
  EXPECT_FALSE(hearer.status.from_server);
}

TEST_F(GrpcClientTest, CancelledCallsAreHeardOfNoMore) {
  connect(serve());
  Hearer before_connect, inside_message, other;
  start(before_connect).cancel();
  GrpcClientCall& call = start(inside_message);
  call.send("one");
  call.send("two");
  inside_message.then = [&] { call.cancel(); };
  start(other).send("x");
  run_until([&] { return other.messages.size() == 1 && echo_.gone == 1; });
  EXPECT_EQ(inside_message.messages.size(), 1u);
  EXPECT_FALSE(inside_message.over || before_connect.over);
  EXPECT_EQ(echo_.calls, 2);
}

TEST_F(GrpcClientTest, LimitsEndTheCallAndSayWhy) {
  GrpcClientLimits limits;
  limits.message_bytes = 1000;
  limits.stream_output_bytes = 5000;
  limits.calls = 2;
  connect(serve(), limits);
  Hearer large, flooding, third;
  start(large).send(std::string(1001, 'x'));
  start(flooding).send(std::string(5001, 'x'));
  start(third).send("x");
  run_until([&] { return large.over && flooding.over && third.over; });
  for (const Hearer* hearer : {&large, &flooding, &third}) {
    EXPECT_EQ(hearer->status.code, 8u);
    EXPECT_TRUE(hearer->messages.empty());
  }
  EXPECT_THAT(third.status.message, HasSubstr("too many calls"));
}

TEST_F(GrpcClientTest, BytesOfAllCallsTogetherAreBounded) {
  GrpcClientLimits limits;
  limits.connection_buffered_bytes = 5000;
  connect(serve(), limits);
  Hearer first, second;
  GrpcClientCall& call = start(first);
  call.send(std::string(3000, 'x'));
  start(second).send(std::string(3000, 'x'));
  call.half_close();
  run_until([&] { return first.over && second.over; });
  EXPECT_TRUE(first.status.ok()) << first.status.message;
  EXPECT_EQ(second.status.code, 8u);
}

TEST_F(GrpcClientTest, RefusedStreamsAreUnavailableOrWait) {
  GrpcServerLimits limits;
  limits.concurrent_streams = 2;
  connect(serve(limits));
  std::vector<Hearer> hearers(5);
  for (Hearer& hearer : hearers) {
    GrpcClientCall& call = start(hearer);
    call.send("x");
    call.half_close();
  }
  run_until([&] {
    for (const Hearer& hearer : hearers) {
      if (!hearer.over) return false;
    }
    return true;
  });
  // Before the server's SETTINGS are known a call may be refused; then it says so.
  for (const Hearer& hearer : hearers) {
    EXPECT_TRUE(hearer.status.ok() || hearer.status.code == 14u) << hearer.status.message;
  }
}

TEST_F(GrpcClientTest, AfterGoawayNewCallsTakeANewConnection) {
  connect(serve());
  Hearer old, fresh;
  GrpcClientCall& call = start(old);
  call.send("x");
  run_until([&] { return old.messages.size() == 1; });
  GrpcServer& draining = *server_;
  const std::unique_ptr<GrpcServer> keep = std::move(server_);
  draining.drain([] {});
  serve();
  bool noticed = false;
  loop_->after(std::chrono::milliseconds(1), [&] { noticed = true; });
  run_until([&] { return noticed; });
  GrpcClientCall& second = start(fresh);
  second.send("y");
  second.half_close();
  call.send("still here");
  call.half_close();
  run_until([&] { return old.over && fresh.over; });
  EXPECT_TRUE(old.status.ok()) << old.status.message;
  EXPECT_EQ(old.messages.back(), "still here");
  EXPECT_TRUE(fresh.status.ok()) << fresh.status.message;
  run_until([&] { return client_->connections() <= 1; });
}

TEST_F(GrpcClientTest, ALostConnectionEndsItsCallsAndTheNextConnects) {
  connect(serve());
  Hearer first, second;
  start(first).send("x");
  run_until([&] { return first.messages.size() == 1; });
  server_.reset();
  run_until([&] { return first.over; });
  EXPECT_EQ(first.status.code, 14u);
  EXPECT_FALSE(first.status.from_server);
  serve();
  start(second).send("y");
  run_until([&] { return second.messages.size() == 1; });
}

TEST_F(GrpcClientTest, NobodyListensIsUnavailable) {
  const uint16_t port = serve();
  server_.reset();
  connect(port);
  Hearer hearer;
  start(hearer).send("x");
  run_until([&] { return hearer.over; });
  EXPECT_EQ(hearer.status.code, 14u);
  EXPECT_THAT(hearer.status.message, HasSubstr("127.0.0.1:" + std::to_string(port)));
}

// A server that writes these bytes to whoever connects, and closes.
TEST_F(GrpcClientTest, AnswersThatAreNotGrpcEndTheCall) {
  const std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  struct Case {
    const char* name;
    std::string bytes;
    uint32_t code;
  };
  const Case cases[] = {
      {"HTTP/1", "HTTP/1.1 400 Bad Request\r\n\r\n", 14},
      {"nothing", "", 14},
      {"settings, then nothing", settings, 14},
      // HEADERS of stream 1, END_STREAM: ":status: 204", from HPACK's static table
      {"no content", settings + std::string("\0\0\1\1\5\0\0\0\1\x89", 10), 2},
      {"404", settings + std::string("\0\0\1\1\5\0\0\0\1\x8d", 10), 12},
      {"200 without status", settings + std::string("\0\0\1\1\5\0\0\0\1\x88", 10), 2},
      // ":status: 200", then DATA that is a compressed message
      {"compressed",
       settings + std::string("\0\0\1\1\4\0\0\0\1\x88", 10) +
           std::string("\0\0\6\0\1\0\0\0\1\1\0\0\0\1x", 15),
       13},
      {"refused", settings + std::string("\0\0\4\3\0\0\0\0\1\0\0\0\7", 13), 14},
  };
  for (const Case& one : cases) {
    const Descriptor listener = std::move(listen_tcp("127.0.0.1", 0, false).value());
    connect(local_port(listener));
    Hearer hearer;
    start(hearer).send("x");
    int accepted = -1;
    run_until([&] { return (accepted = accept(listener.get(), nullptr, nullptr)) >= 0; });
    {
      const Descriptor peer(accepted);
      char hello[16];
      run_until([&] { return recv(accepted, hello, sizeof hello, MSG_DONTWAIT | MSG_PEEK) > 0; });
      ASSERT_EQ(send(accepted, one.bytes.data(), one.bytes.size(), MSG_NOSIGNAL),
                static_cast<ssize_t>(one.bytes.size()));
      shutdown(accepted, SHUT_WR);
      run_until([&] { return hearer.over; });
    }
    EXPECT_EQ(hearer.status.code, one.code) << one.name << ": " << hearer.status.message;
    client_.reset();
  }
}

TEST_F(GrpcClientTest, ADestroyedClientTakesItsCallsAlong) {
  connect(serve());
  Hearer hearer;
  start(hearer).send("x");
  run_until([&] { return hearer.messages.size() == 1; });
  client_.reset();
  run_until([&] { return echo_.gone == 1; });
  EXPECT_FALSE(hearer.over);
}

class GrpcTlsClientTest : public GrpcClientTest {
 protected:
  GrpcTlsClientTest() {
    folder_.write_pair();
    server_context_ = std::move(TlsContext::from_folder(folder_.path())).value();
    TlsClientOptions options;
    options.protocol = TlsProtocol::kHttp2;
    options.ca_file = folder_.path() + "/tls.crt";
    client_context_ = std::move(TlsClientContext::create(options)).value();
  }
  ~GrpcTlsClientTest() override {
    client_.reset();
    server_.reset();
  }
  // How a call ends that sends nothing.
  GrpcStatus end_of_call() {
    Hearer hearer;
    start(hearer).half_close();
    run_until([&] { return hearer.over; });
    return hearer.status;
  }

  TlsFolder folder_;
  std::unique_ptr<TlsContext> server_context_;
  std::unique_ptr<TlsClientContext> client_context_;
};

TEST_F(GrpcTlsClientTest, MessagesOfAnySizeGoBothWays) {
  connect(serve({}, server_context_.get()), {}, {client_context_.get(), "localhost"});
  Hearer hearer;
  GrpcClientCall& call = start(hearer);
  std::vector<std::string> sent;
  for (const size_t size : {0, 10, 5000, 70000, 3000000}) {
    sent.emplace_back(size, 'x');
    call.send(sent.back());
  }
  call.half_close();
  run_until([&] { return hearer.over; });
  EXPECT_TRUE(hearer.messages == sent);
  EXPECT_TRUE(hearer.status.ok() && hearer.status.from_server) << hearer.status.message;
}

TEST_F(GrpcTlsClientTest, ServerMustBeTheOneThatIsMeant) {
  const uint16_t port = serve({}, server_context_.get());
  connect(port, {}, {client_context_.get(), "example.test"});
  GrpcStatus status = end_of_call();
  EXPECT_EQ(status.code, static_cast<uint32_t>(GrpcCode::kUnavailable));
  EXPECT_THAT(status.message, HasSubstr("the certificate is not accepted: "));
  folder_.write_pair();  // nobody's whom the client believes
  ASSERT_TRUE(*server_context_->reload_if_changed());
  connect(port, {}, {client_context_.get(), "localhost"});
  status = end_of_call();
  EXPECT_EQ(status.code, static_cast<uint32_t>(GrpcCode::kUnavailable));
  EXPECT_THAT(status.message, HasSubstr("the certificate is not accepted: "));
  EXPECT_EQ(echo_.calls, 0);
}

TEST_F(GrpcTlsClientTest, HandshakeThatFailsOrNeverEndsIsReported) {
  connect(serve(), {}, {client_context_.get(), "localhost"});
  EXPECT_THAT(end_of_call().message, HasSubstr("the TLS handshake with 127.0.0.1:"));
  const Descriptor silent = std::move(listen_tcp("127.0.0.1", 0, false).value());
  GrpcClientLimits limits;
  limits.connect_timeout = std::chrono::milliseconds(50);
  connect(local_port(silent), limits, {client_context_.get(), "localhost"});
  EXPECT_THAT(end_of_call().message, HasSubstr("in time"));
}

}  // namespace
}  // namespace kvasir

// The sender against our server, on one loop.
#include "net/grpc_sender.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <functional>
#include <string>
#include <vector>

namespace kvasir {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;

// Keeps what it hears; "finish" ends the call.
class Listener final : public GrpcService, public GrpcCall::Observer {
 public:
  void on_call(GrpcCall& call) override {
    call_ = &call;
    call.set_observer(*this);
  }
  void on_message(std::string_view message) override {
    if (message == "finish") return call_->finish(GrpcCode::kNotFound, "enough");
    bytes += message.size();
    messages.emplace_back(message.substr(0, 100));
  }
  void on_half_close() override {}
  void on_gone() override { gone = true; }

  std::vector<std::string> messages;
  size_t bytes = 0;
  bool gone = false;

 private:
  GrpcCall* call_ = nullptr;
};

class GrpcSenderTest : public ::testing::Test, public GrpcSender::Observer {
 protected:
  void serve() {
    server_ = std::make_unique<GrpcServer>(*loop_, listen_tcp("127.0.0.1", 0, false).value(),
                                           std::vector<GrpcRoute>{{"/a.B/C", &listener_}});
  }
  void connect(uint16_t port, const char* path = "/a.B/C") {
    sender_ = std::make_unique<GrpcSender>(*loop_, resolve("127.0.0.1", port).value(), "test", path,
                                           *this);
  }
  // Runs the loop until it holds or ten seconds are over.
  bool run_until(std::function<bool()> holds) {
    const TimePoint deadline = SteadyClock().now() + std::chrono::seconds(10);
    std::function<void()> look = [&] {
      if (holds() || SteadyClock().now() > deadline) return loop_->stop();
      loop_->after(std::chrono::milliseconds(1), look);
    };
    loop_->post(look);
    loop_->run();
    return holds();
  }

  void on_open() override { open_ = true; }
  void on_end(std::optional<GrpcCode> code, std::string_view message) override {
    ended_ = true;
    code_ = code;
    message_ = message;
  }

  std::unique_ptr<EventLoop> loop_ = EventLoop::create().value();
  Listener listener_;
  std::unique_ptr<GrpcServer> server_;
  std::unique_ptr<GrpcSender> sender_;
  bool open_ = false;
  bool ended_ = false;
  std::optional<GrpcCode> code_;
  std::string message_;
};

TEST_F(GrpcSenderTest, MessagesArriveInOrderAndTheEndComesBack) {
  serve();
  connect(server_->port());
  sender_->send("before it is open");
  ASSERT_TRUE(run_until([&] { return open_; }));
  sender_->send("one");
  sender_->send("");
  sender_->send("three");
  ASSERT_TRUE(run_until([&] { return listener_.messages.size() == 3; }));
  EXPECT_THAT(listener_.messages, ElementsAre("one", "", "three"));
  EXPECT_FALSE(ended_);
  sender_->send("finish");
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_EQ(code_, GrpcCode::kNotFound);
  EXPECT_EQ(message_, "enough");
  sender_->send("after the end");
}

TEST_F(GrpcSenderTest, MoreThanAWindowGoesThroughAndUnsentBytesAreSeen) {
  serve();
  connect(server_->port());
  ASSERT_TRUE(run_until([&] { return open_; }));
  const std::string message(1024 * 1024, 'x');
  for (int i = 0; i < 20; ++i) sender_->send(message);
  EXPECT_GT(sender_->unsent_bytes(), 0u);
  ASSERT_TRUE(run_until([&] { return listener_.messages.size() == 20; }));
  EXPECT_EQ(listener_.bytes, 20 * message.size());
  EXPECT_EQ(sender_->unsent_bytes(), 0u);
}

TEST_F(GrpcSenderTest, AnUnknownPathIsToldAsSuch) {
  serve();
  connect(server_->port(), "/no.Such/Method");
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_EQ(code_, GrpcCode::kUnimplemented);
}

TEST_F(GrpcSenderTest, NobodyListensThere) {
  const uint16_t port = local_port(listen_tcp("127.0.0.1", 0, false).value());
  connect(port);
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_FALSE(open_);
  EXPECT_EQ(code_, std::nullopt);
  EXPECT_THAT(message_, HasSubstr("refused"));
}

TEST_F(GrpcSenderTest, AServerThatDiesIsNoticed) {
  serve();
  connect(server_->port());
  ASSERT_TRUE(run_until([&] { return open_; }));
  server_.reset();
  ASSERT_TRUE(run_until([&] { return ended_; }));
  EXPECT_EQ(code_, std::nullopt);
}

TEST_F(GrpcSenderTest, ASenderThatDiesIsNoticedByTheServer) {
  serve();
  connect(server_->port());
  ASSERT_TRUE(run_until([&] { return open_; }));
  sender_->send("one");
  ASSERT_TRUE(run_until([&] { return !listener_.messages.empty(); }));
  sender_.reset();
  EXPECT_TRUE(run_until([&] { return listener_.gone; }));
}

}  // namespace
}  // namespace kvasir

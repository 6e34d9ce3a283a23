// What the picker's ports speak.
#include "epp/exchange_fixture.h"
#include "net/grpc/grpc_client.h"

namespace kvasir {
namespace {

struct HealthCall final : GrpcClientCall::Observer {
  explicit HealthCall(EventLoop& event_loop) : loop(event_loop) {}
  void on_message(std::string_view bytes) override { message = bytes; }
  void on_end(const GrpcStatus& ended) override {
    status = ended;
    loop.stop();
  }
  EventLoop& loop;
  std::string message;
  GrpcStatus status;
};

class EppPortsTest : public ExchangeTest {
 protected:
  // The HealthCheckResponse's status; nothing when there was no such answer.
  std::optional<int> ask_without_tls(uint16_t port) {
    GrpcClient client(*loop_, resolve("127.0.0.1", port).value(), "picker");
    HealthCall call(*loop_);
    GrpcClientCall& started =
        client.start("/grpc.health.v1.Health/Check", call, std::chrono::seconds(20));
    started.send("");
    started.half_close();
    loop_->run();
    if (!call.status.ok() || call.message.size() != 2) return std::nullopt;
    return call.message[1];
  }
};

TEST_F(EppPortsTest, TheHealthPortIsPlainAlsoWhenExtProcIsNot) {
  options_.secure = true;
  EXPECT_EQ(ask_without_tls(epp().health_port()), static_cast<int>(GrpcHealth::kServing));
  EXPECT_EQ(ask_without_tls(epp().grpc_port()), std::nullopt) << "this one is encrypted";
}

TEST_F(EppPortsTest, WithoutTlsBothPortsTellTheHealth) {
  EXPECT_EQ(ask_without_tls(epp().health_port()), static_cast<int>(GrpcHealth::kServing));
  EXPECT_EQ(ask_without_tls(epp().grpc_port()), static_cast<int>(GrpcHealth::kServing));
}

}  // namespace
}  // namespace kvasir

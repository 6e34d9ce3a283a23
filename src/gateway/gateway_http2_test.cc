// The gateway with clients of HTTP/2, and of TLS: its workers speak HTTP/1.1 all the same.
#include "gateway/gateway_fixture.h"
#include "net/http/http2_fixture.h"
#include "net/http/http_fixture.h"
#include "net/io/tls_fixture.h"

namespace kvasir {
namespace {

using Act = FakeWorker::Act;

class GatewayHttp2Test : public GatewayTest {
 protected:
  void connect() {
    start();
    peer_ = std::make_unique<RawClient>(gateway_->port());
    peer_->send(http2_hello());
  }
  void until(const std::function<bool()>& heard) {
    run_until([&] {
      hearing_.hear(peer_->received());
      return heard();
    });
  }
  std::string complete_frames(uint32_t stream) {
    return http2_headers(stream, http2_request("POST", "/v1/completions"), kEndHeaders) +
           http2_data(stream, R"({"prompt":"x","stream":true})");
  }
  void let(Act act) { a_.usually = b_.usually = act; }

  Http2Hearing hearing_;
  std::unique_ptr<RawClient> peer_;
};

TEST_F(GatewayHttp2Test, AnswersAreRelayedWithWhatTheGatewaySays) {
  connect();
  peer_->send(complete_frames(1));
  until([&] { return hearing_.streams[1].over(); });
  const auto& whole = hearing_.streams[1];
  EXPECT_EQ(whole.outcome(), "200");
  EXPECT_EQ(whole.body.size(), 1u);
  EXPECT_EQ(whole.field("content-length"), "1");
  EXPECT_NE(whole.field("x-selected-pod"), "");
  let(Act::kStream);
  peer_->send(complete_frames(3));
  until([&] { return hearing_.streams[3].over(); });
  EXPECT_EQ(hearing_.streams[3].body.substr(9), "data: [DONE]\n\n");
  EXPECT_EQ(hearing_.streams[3].field("content-length"), "");
  EXPECT_EQ(probe_.finished.size(), 2u);
}

TEST_F(GatewayHttp2Test, AnswerThatAWorkerCutsIsReset) {
  let(Act::kCutMidStream);
  connect();
  peer_->send(complete_frames(1));
  until([&] { return hearing_.streams[1].over(); });
  EXPECT_EQ(hearing_.streams[1].outcome(), "200 reset 2");
  EXPECT_EQ(hearing_.streams[1].body.substr(0, 6), "data: ");
  let(Act::kAnswer);
  peer_->send(complete_frames(3));
  until([&] { return hearing_.streams[3].over(); });
  EXPECT_EQ(hearing_.streams[3].outcome(), "200");
}

TEST_F(GatewayHttp2Test, ClientThatTakesItsRequestBackLeavesTheWorker) {
  let(Act::kHang);
  connect();
  peer_->send(complete_frames(1) + complete_frames(3));
  until([&] { return a_.bodies.size() + b_.bodies.size() == 2; });
  peer_->send(http2_reset(3));
  until([&] { return a_.clients_gone + b_.clients_gone == 1; });
  ASSERT_EQ(probe_.finished.size(), 1u);
  EXPECT_EQ(probe_.finished[0].status, 499);
  peer_->close();
  run_until([&] { return a_.clients_gone + b_.clients_gone == 2; });
}

TEST_F(GatewayHttp2Test, DrainAnswersWhatRuns) {
  let(Act::kStream);
  connect();
  peer_->send(complete_frames(1));
  until([&] { return hearing_.streams[1].over(); });
  bool drained = false;
  gateway_->drain([&] { drained = true; });
  peer_->send(complete_frames(3));  // on its way when the client was told
  until([&] { return hearing_.streams[3].over(); });
  EXPECT_EQ(hearing_.streams[3].outcome(), "200");
  until([&] { return drained; });
  EXPECT_EQ(hearing_.goaways, 2);
}

TEST_F(GatewayHttp2Test, ClientsOfTlsAreServed) {
  TlsFolder folder;
  folder.write_pair();
  options_.certificate_folders = {folder.path()};
  options_.tls.protocol = TlsProtocol::kBoth;
  start();
  TlsClientOptions trust;
  trust.ca_file = folder.path() + "/tls.crt";
  const auto context = std::move(TlsClientContext::create(trust)).value();
  client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", gateway_->port()).value(),
                                         HttpClientLimits{}, TlsPeer{context.get(), "localhost"});
  EXPECT_EQ(complete().head.status(), 200);
}

TEST_F(GatewayHttp2Test, CertificatesThatCannotBeUsedAreNamed) {
  options_.certificate_folders = {"/nowhere"};
  const auto refused = Gateway::create(*loop_, options_, probe_, [] { return ""; });
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().message.substr(0, 17), "--tls-cert-path: ");
  EXPECT_NE(refused.error().message.find("/nowhere/tls.crt"), std::string::npos);
}

}  // namespace
}  // namespace kvasir

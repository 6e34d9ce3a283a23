// TLS on both sides of the sidecar: clients, and the two workers.
#include "net/io/tls_fixture.h"
#include "sidecar/sidecar_fixture.h"

namespace kvasir {
namespace {

// A worker that speaks TLS and answers everything with the same.
class TlsWorker final : public HttpHandler {
 public:
  TlsWorker(EventLoop& loop, const std::string& folder, std::string_view answer)
      : answer_(answer),
        context_(context_of(folder)),
        server_(loop, std::move(listen_tcp("127.0.0.1", 0, false).value()), *this, {}, nullptr,
                context_.get()) {}

  void on_request(HttpExchange& exchange) override {
    ++requests;
    exchange.respond(200, "Content-Type: application/json\r\n", answer_);
  }
  Refusal on_refused(int, std::string_view) override { return {}; }
  uint16_t port() const { return server_.port(); }

  int requests = 0;

 private:
  static std::unique_ptr<TlsContext> context_of(const std::string& folder) {
    TlsOptions options;
    options.protocol = TlsProtocol::kHttp1;
    return std::move(TlsContext::from_folder(folder, options)).value();
  }

  const std::string answer_;
  const std::unique_ptr<TlsContext> context_;
  HttpServer server_;
};

class SidecarTlsTest : public SidecarTest {
 protected:
  SidecarTlsTest() { folder_.write_pair(); }

  // With clients that speak TLS when the sidecar does.
  void start_tls() {
    options_.host = "127.0.0.1";
    options_.port = 0;
    sidecar_ = std::move(Sidecar::create(*loop_, options_, told_).value());
    TlsClientOptions believing;
    believing.ca_file = folder_.path() + "/tls.crt";
    context_ = std::move(TlsClientContext::create(believing)).value();
    const TlsPeer peer = options_.tls.serves ? TlsPeer{context_.get(), "localhost"} : TlsPeer();
    client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", sidecar_->port()).value(),
                                           HttpClientLimits{}, peer);
  }
  Recorder complete(uint16_t prefiller, std::string_view host = "localhost") {
    return ask(
        "POST", "/v1/completions",
        "x-prefiller-host-port: " + std::string(host) + ":" + std::to_string(prefiller) + "\r\n",
        R"({"prompt":"x","max_tokens":3})");
  }

  TlsFolder folder_;
  std::unique_ptr<TlsClientContext> context_;
};

TEST_F(SidecarTlsTest, ClientsAreServedWithTheFoldersCertificate) {
  options_.decoder = {"127.0.0.1", decoder_.port()};
  options_.tls.serves = true;
  options_.tls.certificate_folder = folder_.path();
  start_tls();
  prefiller_.answer = kAnswer;
  EXPECT_EQ(complete(prefiller_.port(), "127.0.0.1").status, 200);
  EXPECT_EQ(prefiller_.requests, 1);
  EXPECT_EQ(decoder_.requests, 1);
}

TEST_F(SidecarTlsTest, BothWorkersAreReachedOverTls) {
  TlsWorker prefiller(*loop_, folder_.path(), kAnswer), decoder(*loop_, folder_.path(), "{}");
  options_.decoder = {"localhost", decoder.port()};
  options_.tls.to_prefillers = options_.tls.to_decoder = true;
  options_.tls.ca_file = folder_.path() + "/tls.crt";
  start_tls();
  EXPECT_EQ(complete(prefiller.port()).status, 200);
  EXPECT_EQ(prefiller.requests, 1);
  EXPECT_EQ(decoder.requests, 1);
}

TEST_F(SidecarTlsTest, AWorkerThatIsNotBelievedGetsNothing) {
  TlsWorker prefiller(*loop_, folder_.path(), kAnswer), decoder(*loop_, folder_.path(), "{}");
  options_.decoder = {"localhost", decoder.port()};
  options_.tls.to_prefillers = options_.tls.to_decoder = true;
  TlsFolder others;
  others.write_pair();
  options_.tls.ca_file = others.path() + "/tls.crt";
  start_tls();
  EXPECT_EQ(complete(prefiller.port()).status, 502);
  EXPECT_EQ(ask("GET", "/v1/models", "").status, 503);
  EXPECT_EQ(prefiller.requests + decoder.requests, 0);

  options_.tls.checks_prefillers = options_.tls.checks_decoder = false;  // unless nobody looks
  sidecar_.reset();
  start_tls();
  EXPECT_EQ(complete(prefiller.port()).status, 200);
}

// Whatever the files in it are called.
TEST_F(SidecarTlsTest, AFolderOfTheEnvironmentIsBelieved) {
  TlsWorker prefiller(*loop_, folder_.path(), kAnswer), decoder(*loop_, folder_.path(), "{}");
  options_.decoder = {"localhost", decoder.port()};
  options_.tls.to_prefillers = options_.tls.to_decoder = true;
  const std::string folders = "/nowhere:" + folder_.path();
  setenv("SSL_CERT_DIR", folders.c_str(), 1);
  start_tls();
  unsetenv("SSL_CERT_DIR");
  EXPECT_EQ(complete(prefiller.port()).status, 200);
  EXPECT_EQ(prefiller.requests, 1);
}

TEST_F(SidecarTlsTest, AFolderOrAuthorityThatCannotBeReadIsAnErrorOfItsFlag) {
  options_.host = "127.0.0.1";
  options_.port = 0;
  options_.decoder = {"127.0.0.1", decoder_.port()};
  options_.tls.serves = true;
  options_.tls.certificate_folder = "/nowhere";
  const auto served = Sidecar::create(*loop_, options_, told_);
  ASSERT_FALSE(served);
  EXPECT_THAT(served.error().message, ::testing::HasSubstr("--cert-path"));
  options_.tls = {};
  options_.tls.to_decoder = true;
  options_.tls.ca_file = "/nowhere";
  const auto believed = Sidecar::create(*loop_, options_, told_);
  ASSERT_FALSE(believed);
  EXPECT_THAT(believed.error().message, ::testing::HasSubstr("--tls-ca-file"));
}

}  // namespace
}  // namespace kvasir

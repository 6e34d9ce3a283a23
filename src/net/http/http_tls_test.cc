// The server and the client against each other over TLS, and against those with whom no handshake
// succeeds.
#include <fcntl.h>

#include "net/http/http2_fixture.h"
#include "net/http/http_fixture.h"
#include "net/io/tls_fixture.h"
#include "net/io/transport.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

std::unique_ptr<TlsClientContext> believing(const std::string& ca_file, bool check = true) {
  TlsClientOptions options;
  options.ca_file = ca_file;
  options.check_server = check;
  return std::move(TlsClientContext::create(options)).value();
}

class HttpTlsTest : public HttpTest {
 protected:
  HttpTlsTest() {
    folder_.write_pair();
    serve({});
    connect(folder_.path() + "/tls.crt", "localhost");
  }

  void serve(HttpServerLimits limits, TlsProtocol protocol = TlsProtocol::kHttp1) {
    TlsOptions options;
    options.protocol = protocol;
    server_.reset();
    server_context_ = std::move(TlsContext::from_folder(folder_.path(), options)).value();
    server_ =
        std::make_unique<HttpServer>(*loop_, std::move(listen_tcp("127.0.0.1", 0, false).value()),
                                     handler_, limits, &bodies_, server_context_.get());
  }
  void connect(const std::string& ca_file, const std::string& name, bool check = true) {
    client_.reset();
    client_context_ = believing(ca_file, check);
    connect_to(server_->port(), name);
  }
  void connect_to(uint16_t port, const std::string& name, HttpClientLimits limits = {}) {
    client_ = std::make_unique<HttpClient>(*loop_, resolve("127.0.0.1", port).value(), limits,
                                           TlsPeer{client_context_.get(), name});
  }
  // The message of a call that cannot be made.
  std::string refusal(HttpFailure::Cause cause = HttpFailure::Cause::kHandshake) {
    const Recorder answer = call("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
    if (!answer.failure) return "none";
    EXPECT_EQ(answer.failure->kind, HttpFailure::Kind::kConnect);
    EXPECT_EQ(answer.failure->cause, cause);
    return answer.failure->message;
  }

  TlsFolder folder_;
  std::unique_ptr<TlsContext> server_context_;
  std::unique_ptr<TlsClientContext> client_context_;
};

TEST_F(HttpTlsTest, BodiesOfAnySizeGoBothWaysOnOneConnection) {
  for (const size_t size : {size_t{0}, size_t{5}, size_t{70'000}, size_t{3'000'000}}) {
    const std::string body(size, 'x');
    const Recorder answer = call(
        "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: " + std::to_string(size) + "\r\n\r\n",
        body);
    EXPECT_EQ(answer.status, 200) << (answer.failure ? answer.failure->message : "");
    EXPECT_TRUE(answer.body == body) << size;
  }
  EXPECT_EQ(call("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n").body, "onetwothree");
  EXPECT_EQ(client_->connections(), 1u);
  EXPECT_EQ(server_->connections(), 1u);
}

TEST_F(HttpTlsTest, PausedReaderGetsTheRestLater) {
  const std::string body(2'000'000, 'x');
  Recorder recorder(*loop_);
  recorder.pause_at_body = true;
  recorder.call = &client_->start(
      "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2000000\r\n\r\n", body, recorder);
  while (!recorder.ended) {
    const size_t before = recorder.body.size();
    run_until([&] { return recorder.body.size() > before || recorder.ended; });
    ASSERT_FALSE(recorder.failure);
    if (!recorder.ended) recorder.call->resume();
  }
  EXPECT_TRUE(recorder.body == body);
}

// One side of a connection by hand: what it reads is read as often as it is looked at.
class RawPeer {
 public:
  RawPeer(Descriptor socket, std::unique_ptr<TlsSession> tls)
      : transport_(std::move(socket), std::move(tls)) {
    EXPECT_TRUE(transport_.begin());
  }
  const std::string& received() {
    transport_.flush();
    char bytes[1000];
    for (;;) {
      const Transport::Reading reading = transport_.read(bytes, sizeof bytes);
      if (reading.size == 0) return received_;
      received_.append(bytes, reading.size);
    }
  }
  bool ready() {
    received();
    return transport_.ready();
  }
  Transport& transport() { return transport_; }

 private:
  Transport transport_;
  std::string received_;
};

// More than a server reads ahead of its answer lies in TLS by then, and no loop tells of it.
TEST_F(HttpTlsTest, RequestsThatWaitBehindALongAnswerAreAnsweredAll) {
  const SocketAddress address = resolve("127.0.0.1", server_->port()).value();
  RawPeer peer(start_connect(address).socket, client_context_->open_session("localhost"));
  run_until([&] { return peer.ready(); });
  const std::string echo =
      "GET /echo HTTP/1.1\r\nHost: x\r\nX: " + std::string(1000, 'x') + "\r\n\r\n";
  ASSERT_TRUE(peer.transport().send("GET /hold HTTP/1.1\r\nHost: x\r\n\r\n"));
  run_until([&] { return handler_.held != nullptr; });
  std::string requests;
  for (int i = 0; i < 50; ++i) requests += echo;
  ASSERT_TRUE(peer.transport().send(requests));
  ASSERT_EQ(peer.transport().unsent(), 0u);
  for (int turns = 0; turns < 5; ++turns) {  // what can be read ahead is read
    loop_->post([&] { loop_->stop(); });
    loop_->run();
  }
  handler_.release();
  run_until([&] { return peer.received().size() > 3000 && handler_.requests == 51; });
}

// Its server closes nothing: the goodbye was read together with the answer, before the pause.
TEST_F(HttpTlsTest, PausedReaderHearsOfTheEndLater) {
  const Descriptor listener = std::move(listen_tcp("127.0.0.1", 0, false).value());
  connect_to(local_port(listener), "localhost");
  Recorder recorder(*loop_);
  recorder.pause_at_body = true;
  recorder.call = &client_->start("GET / HTTP/1.1\r\nHost: x\r\n\r\n", "", recorder);
  std::unique_ptr<RawPeer> server;
  run_until([&] {
    if (server == nullptr) {
      Descriptor taken(accept4(listener.get(), nullptr, nullptr, SOCK_NONBLOCK));
      if (!taken.open()) return false;
      server = std::make_unique<RawPeer>(std::move(taken), server_context_->open_session());
    }
    return server->received().ends_with("\r\n\r\n");
  });
  server->transport().append("HTTP/1.1 200 OK\r\n\r\nwhole");
  server->transport().say_goodbye();
  ASSERT_TRUE(server->transport().flush());
  run_until([&] { return recorder.body == "whole"; });
  EXPECT_FALSE(recorder.ended);
  recorder.call->resume();
  run_until([&] { return recorder.ended || recorder.failure; });
  EXPECT_TRUE(recorder.ended);
}

// Only a goodbye tells an answer that ends with the connection from one that was cut.
TEST_F(HttpTlsTest, CutAnswerWithoutALengthIsAFailure) {
  const Recorder whole = call("GET /stream HTTP/1.0\r\nHost: x\r\n\r\n");
  EXPECT_TRUE(whole.ended);
  EXPECT_EQ(whole.body, "onetwothree");
  const Recorder cut = call("GET /cut HTTP/1.0\r\nHost: x\r\n\r\n");
  ASSERT_TRUE(cut.failure);
  EXPECT_EQ(cut.failure->kind, HttpFailure::Kind::kClosed);
}

TEST_F(HttpTlsTest, CertificateMustBeForTheNameOrAddress) {
  const std::string ca = folder_.path() + "/tls.crt";
  for (const char* name : {"localhost", "127.0.0.1", "::1"}) {
    connect(ca, name);
    EXPECT_EQ(refusal(), "none") << name;
  }
  for (const char* name : {"example.test", "127.0.0.2", "localhost.example.test"}) {
    connect(ca, name);
    EXPECT_THAT(refusal(), HasSubstr("the certificate is not accepted: ")) << name;
    EXPECT_THAT(refusal(), HasSubstr("mismatch")) << name;
    connect(ca, name, false);
    EXPECT_EQ(refusal(), "none") << name;
  }
  for (const std::string& name : {std::string(), std::string(300, 'a')}) {
    connect(ca, name);
    EXPECT_THAT(refusal(), HasSubstr("is not a name that a server can have"));
  }
}

TEST_F(HttpTlsTest, CertificateMustBeOfSomebodyWhoIsBelieved) {
  TlsFolder other;
  other.write_pair();
  connect(other.path() + "/tls.crt", "localhost");
  EXPECT_THAT(refusal(), HasSubstr("the certificate is not accepted: "));
  connect("", "localhost");  // the system's
  EXPECT_THAT(refusal(), HasSubstr("the certificate is not accepted: "));
  EXPECT_EQ(handler_.requests, 0);
}

TEST_F(HttpTlsTest, HandshakeThatNeverEndsIsGivenUp) {
  RawOrigin silent(*loop_);
  HttpClientLimits limits;
  limits.connect_timeout = std::chrono::milliseconds(50);
  connect_to(ntohs(reinterpret_cast<const sockaddr_in&>(silent.address().storage).sin_port),
             "localhost", limits);
  EXPECT_EQ(refusal(HttpFailure::Cause::kTimedOut), "cannot connect: no answer in time");
  EXPECT_EQ(silent.accepted, 1);
}

TEST_F(HttpTlsTest, ServersWithoutTlsAreToldFromThoseWithIt) {
  start({});  // the plain one
  connect_to(server_->port(), "localhost");
  EXPECT_THAT(refusal(), HasSubstr("the TLS handshake failed: "));
  EXPECT_EQ(handler_.requests, 0);
}

TEST_F(HttpTlsTest, ServerCutsAHandshakeThatNeverEnds) {
  HttpServerLimits limits;
  limits.handshake_timeout = std::chrono::milliseconds(50);
  serve(limits);
  RawClient silent(server_->port());
  silent.send(std::string("\x16\x03\x01\x01\x00\x01", 6));
  run_until([&] { return silent.ended(); });
  EXPECT_EQ(silent.received(), "");
}

TEST_F(HttpTlsTest, ServerSpeaksNoHttp2) {
  TlsClientOptions options;
  options.protocol = TlsProtocol::kHttp2;
  options.check_server = false;
  client_.reset();
  client_context_ = std::move(TlsClientContext::create(options)).value();
  connect_to(server_->port(), "localhost");
  EXPECT_THAT(refusal(), HasSubstr("no application protocol"));
}

// A client that can say anything once the handshake is done.
class TlsPeerClient {
 public:
  TlsPeerClient(uint16_t port, const TlsClientContext& context)
      : transport_(connected(port), context.open_session("localhost")) {
    EXPECT_TRUE(transport_.begin());
  }
  // Reads what there is, and sends `bytes` once it can.
  const std::string& turn(std::string& bytes) {
    char buffer[10'000];
    for (;;) {
      const Transport::Reading reading = transport_.read(buffer, sizeof buffer);
      if (reading.size == 0) break;
      received_.append(buffer, reading.size);
    }
    if (transport_.ready() && !bytes.empty()) transport_.send(std::exchange(bytes, {}));
    return received_;
  }

 private:
  static Descriptor connected(uint16_t port) {
    Descriptor socket(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    const SocketAddress address = resolve("127.0.0.1", port).value();
    ::connect(socket.get(), reinterpret_cast<const sockaddr*>(&address.storage), address.size);
    ::fcntl(socket.get(), F_SETFL, O_NONBLOCK);
    return socket;
  }

  Transport transport_;
  std::string received_;
};

TEST_F(HttpTlsTest, ClientsThatOfferHttp2SpeakIt) {
  serve({}, TlsProtocol::kBoth);
  connect(folder_.path() + "/tls.crt", "localhost");
  EXPECT_EQ(call("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n").status, 200);  // which does not
  TlsClientOptions options;
  options.protocol = TlsProtocol::kBoth;
  options.check_server = false;
  const auto context = std::move(TlsClientContext::create(options)).value();
  TlsPeerClient client(server_->port(), *context);
  Http2Hearing hearing;
  std::string bytes = http2_hello() +
                      http2_headers(1, http2_request("POST", "/echo"), kEndHeaders) +
                      http2_data(1, "hello");
  run_until([&] {
    hearing.hear(client.turn(bytes));
    return hearing.streams[1].over();
  });
  EXPECT_EQ(hearing.streams[1].outcome(), "200");
  EXPECT_EQ(hearing.streams[1].body, "hello");
}

TEST_F(HttpTlsTest, PrefaceWithoutAgreementIsRefused) {
  serve({}, TlsProtocol::kBoth);
  connect(folder_.path() + "/tls.crt", "localhost");  // offers HTTP/1.1 alone
  TlsPeerClient client(server_->port(), *client_context_);
  std::string bytes = http2_hello();
  run_until([&] { return !client.turn(bytes).empty(); });
  EXPECT_THAT(client.turn(bytes), ::testing::StartsWith("HTTP/1.1 505 "));
}

TEST_F(HttpTlsTest, PlainHttpIsToldWhatIsWrong) {
  RawClient plain(server_->port());
  plain.send("GET /echo HTTP/1.1\r\nHost: x\r\n\r\n");
  run_until([&] { return plain.ended(); });
  EXPECT_THAT(plain.received(), ::testing::StartsWith("HTTP/1.1 400 "));
  EXPECT_THAT(plain.received(), HasSubstr("Content-Type: text/plain\r\n"));
  EXPECT_THAT(plain.received(), HasSubstr("this port takes HTTPS only"));
  EXPECT_EQ(handler_.requests, 0);
}

TEST_F(HttpTlsTest, FilesThatCannotBeUsedAreNamed) {
  const auto error = [&](const TlsClientOptions& options) {
    const auto context = TlsClientContext::create(options);
    return context ? std::string("none") : context.error().message;
  };
  TlsClientOptions options;
  options.ca_file = folder_.path() + "/no.crt";
  EXPECT_THAT(error(options), HasSubstr("no.crt: No such file"));
  folder_.write_text("no.crt", "");
  EXPECT_THAT(error(options), HasSubstr("no.crt holds no certificate"));
  folder_.write_text("no.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  EXPECT_THAT(error(options), HasSubstr("no.crt cannot be used"));
  options.ca_file = folder_.path() + "/tls.crt";
  EXPECT_EQ(error(options), "none");
  options.certificate_folder = folder_.path();
  EXPECT_EQ(error(options), "none");
  folder_.write_text("tls.key", "");
  EXPECT_THAT(error(options), HasSubstr("tls.key cannot be used"));
  options = {};
  options.ca_pem = "no PEM";
  EXPECT_THAT(error(options), HasSubstr("the CA's certificate holds no certificate"));
  options.ca_pem.clear();
  options.certificate_pem = "no PEM";
  EXPECT_THAT(error(options), HasSubstr("the client's certificate cannot be used"));
}

}  // namespace
}  // namespace kvasir

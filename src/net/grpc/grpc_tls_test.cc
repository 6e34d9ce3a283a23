// The gRPC server over TLS against OpenSSL's client, and against those that do not get that far.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <random>
#include <thread>
#include <utility>

#include "base/whole_file.h"
#include "net/grpc/grpc_fixture.h"
#include "net/io/event_loop.h"
#include "net/io/tls_context.h"
#include "net/io/tls_fixture.h"
#include "net/io/tls_reload.h"

namespace kvasir {
namespace {

using ::testing::HasSubstr;

struct FreedContext {
  void operator()(SSL_CTX* context) const { SSL_CTX_free(context); }
};
using ClientContext = std::unique_ptr<SSL_CTX, FreedContext>;

// `protocols`: ALPN's list as it goes over the wire; empty: none offered.
ClientContext client_context(int version, const std::string& protocols = "\2h2") {
  ClientContext context(SSL_CTX_new(TLS_client_method()));
  SSL_CTX_set_security_level(context.get(), 0);
  SSL_CTX_set_min_proto_version(context.get(), version);
  SSL_CTX_set_max_proto_version(context.get(), version);
  if (!protocols.empty()) {
    SSL_CTX_set_alpn_protos(context.get(), reinterpret_cast<const unsigned char*>(protocols.data()),
                            static_cast<unsigned>(protocols.size()));
  }
  return context;
}

class TlsServerTest : public ::testing::Test {
 protected:
  TlsServerTest() : loop_(std::move(EventLoop::create().value())) {}
  ~TlsServerTest() override {
    if (!thread_.joinable()) return;
    loop_->post([this] { server_.reset(); });
    loop_->stop();
    thread_.join();
  }

  uint16_t start(Result<std::unique_ptr<TlsContext>> context, GrpcServerLimits limits = {}) {
    context_ = std::move(context).value();
    server_ = std::make_unique<GrpcServer>(
        *loop_, std::move(listen_tcp("127.0.0.1", 0, false).value()),
        std::vector<GrpcRoute>{{"/test.Echo/Echo", &echo_}}, limits, context_.get());
    thread_ = std::thread([this] { loop_->run(); });
    return server_->port();
  }

  static bool echoes(GrpcTestClient& client, const std::string& message) {
    return client.secure() &&
           client.finish(client.call("/test.Echo/Echo", framed(message))).body == framed(message);
  }

  std::unique_ptr<EventLoop> loop_;
  EchoService echo_;
  std::unique_ptr<TlsContext> context_;
  std::unique_ptr<GrpcServer> server_;
  std::thread thread_;
};

TEST_F(TlsServerTest, MessagesGoBothWaysEncrypted) {
  const uint16_t port = start(TlsContext::self_signed());
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    const ClientContext context = client_context(version);
    GrpcTestClient client(port, context.get());
    ASSERT_TRUE(client.secure());
    const unsigned char* protocol = nullptr;
    unsigned size = 0;
    SSL_get0_alpn_selected(client.tls(), &protocol, &size);
    EXPECT_EQ(std::string(protocol, protocol + size), "h2");
    for (const size_t bytes : {size_t{0}, size_t{5000}, size_t{20000}, size_t{3000000}}) {
      EXPECT_TRUE(echoes(client, std::string(bytes, 'x'))) << bytes;
    }
  }
}

TEST_F(TlsServerTest, ManyConnectionsAndCallsAtOnce) {
  const uint16_t port = start(TlsContext::self_signed());
  const ClientContext context = client_context(TLS1_3_VERSION);
  std::vector<std::unique_ptr<GrpcTestClient>> clients;
  for (int i = 0; i < 20; ++i) {
    clients.push_back(std::make_unique<GrpcTestClient>(port, context.get()));
  }
  for (int i = 0; i < 100; ++i) {
    EXPECT_TRUE(echoes(*clients[static_cast<size_t>(i) % clients.size()], std::to_string(i)));
  }
}

TEST_F(TlsServerTest, OnlyHttp2IsSpoken) {
  const uint16_t port = start(TlsContext::self_signed());
  const struct {
    std::string protocols;
    bool accepted;
  } cases[] = {{"\2h2", true}, {"\x8http/1.1\2h2", true}, {"", true}, {"\x8http/1.1", false}};
  for (const auto& test : cases) {
    const ClientContext context = client_context(TLS1_3_VERSION, test.protocols);
    GrpcTestClient client(port, context.get());
    EXPECT_EQ(client.secure(), test.accepted) << test.protocols;
    EXPECT_EQ(test.accepted && echoes(client, "x"), test.accepted) << test.protocols;
  }
}

TEST_F(TlsServerTest, OldVersionsAreRefused) {
  TlsOptions options;
  options.version_min = TlsVersion::k13;
  const uint16_t port = start(TlsContext::self_signed(options));
  for (const int version : {TLS1_1_VERSION, TLS1_2_VERSION, TLS1_3_VERSION}) {
    const ClientContext context = client_context(version);
    GrpcTestClient client(port, context.get());
    EXPECT_EQ(client.secure(), version == TLS1_3_VERSION) << version;
  }
}

TEST_F(TlsServerTest, NamedCipherSuitesAreUsed) {
  TlsOptions options;
  options.cipher_suites = {"TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"};
  const uint16_t port = start(TlsContext::self_signed(options));
  const ClientContext context = client_context(TLS1_2_VERSION);
  GrpcTestClient client(port, context.get());
  ASSERT_TRUE(client.secure());
  EXPECT_STREQ(SSL_CIPHER_standard_name(SSL_get_current_cipher(client.tls())),
               "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256");
  EXPECT_TRUE(echoes(client, "x"));
}

TEST_F(TlsServerTest, SuitesOfTls13AloneLeaveTls12Out) {
  TlsOptions options;
  options.cipher_suites = {"TLS_CHACHA20_POLY1305_SHA256"};
  const uint16_t port = start(TlsContext::self_signed(options));
  const ClientContext old = client_context(TLS1_2_VERSION), now = client_context(TLS1_3_VERSION);
  EXPECT_FALSE(GrpcTestClient(port, old.get()).secure());
  GrpcTestClient client(port, now.get());
  ASSERT_TRUE(client.secure());
  EXPECT_STREQ(SSL_CIPHER_standard_name(SSL_get_current_cipher(client.tls())),
               "TLS_CHACHA20_POLY1305_SHA256");
}

TEST_F(TlsServerTest, OthersThanTlsClientsEndOnlyThemselves) {
  const uint16_t port = start(TlsContext::self_signed());
  GrpcTestClient plain(port);
  EXPECT_TRUE(plain.run_until([&] { return plain.ended; }));
  std::mt19937 random(7);
  for (int i = 0; i < 200; ++i) {
    const int garbage = socket(AF_INET, SOCK_STREAM, 0);
    const SocketAddress address = resolve("127.0.0.1", port).value();
    ASSERT_EQ(connect(garbage, reinterpret_cast<const sockaddr*>(&address.storage), address.size),
              0);
    std::string bytes = i % 2 == 0 ? std::string() : std::string("\x16\x03\x01\x01\x00\x01", 6);
    for (size_t k = random() % 600; k > 0; --k) bytes += static_cast<char>(random());
    send(garbage, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    close(garbage);
  }
  const ClientContext context = client_context(TLS1_3_VERSION);
  GrpcTestClient client(port, context.get());
  EXPECT_TRUE(echoes(client, "alive"));
}

TEST_F(TlsServerTest, HandshakeThatNeverEndsIsCut) {
  GrpcServerLimits limits;
  limits.handshake_timeout = std::chrono::milliseconds(200);
  const uint16_t port = start(TlsContext::self_signed(), limits);
  const int silent = socket(AF_INET, SOCK_STREAM, 0);
  const SocketAddress address = resolve("127.0.0.1", port).value();
  ASSERT_EQ(connect(silent, reinterpret_cast<const sockaddr*>(&address.storage), address.size), 0);
  const std::string start_of_hello("\x16\x03\x01\x01\x00\x01", 6);
  ASSERT_EQ(send(silent, start_of_hello.data(), start_of_hello.size(), MSG_NOSIGNAL), 6);
  pollfd ended{silent, POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, 10000), 1);
  char byte = 0;
  EXPECT_EQ(recv(silent, &byte, 1, 0), 0);
  close(silent);
}

// --- Files
// -----------------------------------------------------------------------------------------

std::string shown_certificate(GrpcTestClient& client) {
  X509* certificate = SSL_get1_peer_certificate(client.tls());
  const std::string der = TlsFolder::der(certificate);
  X509_free(certificate);
  return der;
}

TEST_F(TlsServerTest, NewFilesServeNewConnectionsOldOnesGoOn) {
  TlsFolder folder;
  const std::string first = folder.write_pair();
  const uint16_t port = start(TlsContext::from_folder(folder.path()));
  const ClientContext context = client_context(TLS1_3_VERSION);
  GrpcTestClient before(port, context.get());
  ASSERT_TRUE(before.secure());
  EXPECT_EQ(shown_certificate(before), first);
  EXPECT_FALSE(*context_->reload_if_changed());

  const std::string second = folder.write_pair();
  EXPECT_TRUE(*context_->reload_if_changed());
  EXPECT_FALSE(*context_->reload_if_changed());
  GrpcTestClient after(port, context.get());
  ASSERT_TRUE(after.secure());
  EXPECT_EQ(shown_certificate(after), second);
  EXPECT_TRUE(echoes(before, "old"));
  EXPECT_TRUE(echoes(after, "new"));

  folder.write_pair(false);  // the key is still that of `second`
  const Result<bool> mismatch = context_->reload_if_changed();
  ASSERT_FALSE(mismatch);
  EXPECT_THAT(mismatch.error().message, HasSubstr("tls.key"));
  EXPECT_FALSE(*context_->reload_if_changed());  // said once
  GrpcTestClient still(port, context.get());
  ASSERT_TRUE(still.secure());
  EXPECT_EQ(shown_certificate(still), second);
}

TEST(TlsReload, TellsOfNewFilesAndOfUnusableOnes) {
  TlsFolder folder;
  folder.write_pair();
  const auto context = std::move(TlsContext::from_folder(folder.path())).value();
  const auto loop = std::move(EventLoop::create()).value();
  int renewed = 0, failed = 0;
  TlsReload reload(*loop, *context, std::chrono::milliseconds(1), [&](const Result<bool>& result) {
    if (result) {
      ++renewed;
      folder.write_text("tls.crt", "broken");
    } else {
      ++failed;
      loop->stop();
    }
  });
  folder.write_pair();
  loop->run();
  EXPECT_EQ(renewed, 1);
  EXPECT_EQ(failed, 1);
}

// As tar does from an archive whose times are fixed, and touch -r: the same inode, size and time of
// modification.
TEST(TlsContext, ARewriteThatSetsTheOldTimeAgainIsNoticed) {
  TlsFolder folder;
  folder.write_pair();
  const std::string path = folder.path() + "/tls.crt";
  const std::string text = read_whole_file(path, 1 << 20).value();
  const auto change_time_of_rewritten = [&] {
    folder.write_text("tls.crt", text);
    const timespec old[2] = {{1'000'000'000, 0}, {1'000'000'000, 0}};
    EXPECT_EQ(utimensat(AT_FDCWD, path.c_str(), old, 0), 0);
    struct stat facts {};
    EXPECT_EQ(stat(path.c_str(), &facts), 0);
    return std::pair(facts.st_ctim.tv_sec, facts.st_ctim.tv_nsec);
  };
  const auto first = change_time_of_rewritten();
  const auto context = std::move(TlsContext::from_folder(folder.path())).value();
  EXPECT_FALSE(*context->reload_if_changed());
  while (change_time_of_rewritten() == first) {  // within one tick of the clock of files
  }
  EXPECT_TRUE(*context->reload_if_changed());
  EXPECT_FALSE(*context->reload_if_changed());
}

TEST(TlsContext, UnusableFilesAreNamed) {
  TlsFolder folder;
  const auto error = [&] {
    const Result<std::unique_ptr<TlsContext>> context = TlsContext::from_folder(folder.path());
    return context ? std::string("none") : context.error().message;
  };
  EXPECT_EQ(error(), "cannot read " + folder.path() + "/tls.crt: No such file or directory");
  folder.write_pair();
  EXPECT_EQ(error(), "none");
  folder.write_text("tls.key", "");
  EXPECT_THAT(error(), HasSubstr("tls.key cannot be used"));
  folder.write_pair(true, "open");
  EXPECT_THAT(error(), HasSubstr("tls.key cannot be used"));
  folder.write_text("tls.crt", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
  EXPECT_THAT(error(), HasSubstr("tls.crt cannot be used"));
}

// None of them may be waited for or read to an end that does not come.
TEST(TlsContext, WhatIsNoFileIsRefusedAtTheStartAndLater) {
  for (const char* name : {"tls.crt", "tls.key"}) {
    TlsFolder folder;
    folder.write_pair();
    const std::string path = folder.path() + "/" + name;
    const auto running = std::move(TlsContext::from_folder(folder.path())).value();
    const auto expect_refused = [&](const char* kind) {
      const Result<std::unique_ptr<TlsContext>> context = TlsContext::from_folder(folder.path());
      ASSERT_FALSE(context);
      EXPECT_THAT(context.error().message, HasSubstr(path + ": it is " + kind));
      const Result<bool> reloaded = running->reload_if_changed();
      ASSERT_FALSE(reloaded);
      EXPECT_THAT(reloaded.error().message, HasSubstr(path + ": it is " + kind));
    };
    ASSERT_EQ(unlink(path.c_str()), 0);
    ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
    expect_refused("a pipe");
    ASSERT_EQ(unlink(path.c_str()), 0);
    ASSERT_EQ(symlink("/dev/zero", path.c_str()), 0);
    expect_refused("a device");
    ASSERT_EQ(unlink(path.c_str()), 0);
    ASSERT_EQ(mkdir(path.c_str(), 0700), 0);
    expect_refused("a directory");
    ASSERT_EQ(rmdir(path.c_str()), 0);
    folder.write_pair();
    EXPECT_TRUE(running->reload_if_changed().ok());
  }
}

TEST(TlsContext, UnknownSuitesAndVersionsAreRefused) {
  TlsOptions options;
  options.cipher_suites = {"TLS_AES_128_GCM_SHA256", "TLS_NO_SUCH_SUITE"};
  const Result<std::unique_ptr<TlsContext>> context = TlsContext::self_signed(options);
  ASSERT_FALSE(context);
  EXPECT_THAT(context.error().message, HasSubstr("TLS_NO_SUCH_SUITE"));
  EXPECT_EQ(*parse_tls_version("VersionTLS12"), TlsVersion::k12);
  EXPECT_EQ(*parse_tls_version("1.3"), TlsVersion::k13);
  for (const char* text : {"", "VersionTLS11", "1.1", "tls1.2"})
    EXPECT_FALSE(parse_tls_version(text));
}

TEST(TlsContext, SelfSignedOneHasNothingToReload) {
  const auto context = std::move(TlsContext::self_signed()).value();
  EXPECT_FALSE(*context->reload_if_changed());
}

}  // namespace
}  // namespace kvasir

// One TLS connection in memory: OpenSSL's client against ours, in pieces of any size.
#include "net/io/tls_session.h"

#include <gtest/gtest.h>
#include <openssl/ssl.h>

#include <memory>
#include <random>
#include <string>

#include "base/whole_file.h"
#include "net/io/tls_context.h"
#include "net/io/tls_fixture.h"

namespace kvasir {
namespace {

using Status = TlsSession::Status;

class Pair {
 public:
  explicit Pair(const TlsContext& context, unsigned seed)
      : server(context.open_session()), random_(seed) {
    client_context_ = SSL_CTX_new(TLS_client_method());
    client = SSL_new(client_context_);
    SSL_set_bio(client, BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client);
  }
  ~Pair() {
    SSL_free(client);
    SSL_CTX_free(client_context_);
  }

  // Moves what lies in either direction, a piece at a time, until neither has more.
  void move_bytes() {
    char bytes[5000];
    for (bool moved = true; moved;) {
      moved = false;
      const auto piece = static_cast<int>(random_() % sizeof bytes + 1);
      SSL_do_handshake(client);
      if (const int size = BIO_read(SSL_get_wbio(client), bytes, piece); size > 0) {
        moved = true;
        server->receive({bytes, static_cast<size_t>(size)});
        read_server();
      }
      if (const size_t size = server->take_output(bytes, static_cast<size_t>(piece)); size > 0) {
        moved = true;
        BIO_write(SSL_get_rbio(client), bytes, static_cast<int>(size));
        read_client();
      }
    }
  }

  std::unique_ptr<TlsSession> server;
  SSL* client;
  std::string at_server, at_client;
  Status status = Status::kOk;

 private:
  void read_server() {
    char bytes[3000];
    for (;;) {
      const TlsSession::Reading reading = server->read(bytes, sizeof bytes);
      status = reading.status;
      if (reading.size == 0) return;
      at_server.append(bytes, reading.size);
    }
  }
  void read_client() {
    char bytes[3000];
    for (int size; (size = SSL_read(client, bytes, sizeof bytes)) > 0;) {
      at_client.append(bytes, static_cast<size_t>(size));
    }
  }

  SSL_CTX* client_context_;
  std::mt19937 random_;
};

std::unique_ptr<TlsContext> self_signed() {
  return std::move(TlsContext::self_signed()).value();
}

TEST(TlsSession, CarriesBytesBothWaysInPiecesOfAnySize) {
  const auto context = self_signed();
  for (unsigned seed = 0; seed < 20; ++seed) {
    Pair pair(*context, seed);
    pair.move_bytes();
    ASSERT_TRUE(pair.server->open());
    const std::string up(100'000, 'u'), down(TlsSession::kWriteBytesMax, 'd');
    ASSERT_EQ(SSL_write(pair.client, up.data(), static_cast<int>(up.size())),
              static_cast<int>(up.size()));
    ASSERT_TRUE(pair.server->write(down));
    ASSERT_TRUE(pair.server->write(""));
    pair.move_bytes();
    EXPECT_TRUE(pair.at_server == up) << seed;
    EXPECT_TRUE(pair.at_client == down) << seed;
    EXPECT_EQ(pair.status, Status::kOk);
  }
}

TEST(TlsSession, GoodbyesAreHeardOnBothSides) {
  const auto context = self_signed();
  Pair left(*context, 1), leaving(*context, 2);
  left.move_bytes();
  SSL_shutdown(left.client);
  left.move_bytes();
  EXPECT_EQ(left.status, Status::kClosed);
  leaving.move_bytes();
  leaving.server->say_goodbye();
  leaving.move_bytes();
  EXPECT_EQ(SSL_get_shutdown(leaving.client) & SSL_RECEIVED_SHUTDOWN, SSL_RECEIVED_SHUTDOWN);
}

TEST(TlsSession, OutlivesItsContext) {
  auto context = self_signed();
  Pair pair(*context, 3);
  context.reset();
  pair.move_bytes();
  EXPECT_TRUE(pair.server->open());
}

// Moves bytes between the two until neither has more; how the server fared.
Status shake_hands(TlsSession& client, TlsSession& server) {
  char bytes[20000];
  EXPECT_TRUE(client.start());
  Status status = Status::kOk;
  for (bool moved = true; moved;) {
    moved = false;
    if (const size_t size = client.take_output(bytes, sizeof bytes); size > 0) {
      server.receive({bytes, size});
      status = server.read(bytes, sizeof bytes).status;
      moved = true;
    }
    if (const size_t size = server.take_output(bytes, sizeof bytes); size > 0) {
      client.receive({bytes, size});
      client.read(bytes, sizeof bytes);
      moved = true;
    }
  }
  return status;
}

TEST(TlsSession, ClientShowsItsCertificateWhenAsked) {
  TlsFolder folder;
  const std::string der = folder.write_pair();
  const std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> asking(SSL_CTX_new(TLS_server_method()),
                                                            &SSL_CTX_free);
  ASSERT_TRUE(use_certificate_folder(folder.path(), asking.get()));
  SSL_CTX_set_verify(asking.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                     [](int, X509_STORE_CTX*) { return 1; });  // any will do
  TlsClientOptions options;
  options.ca_file = folder.path() + "/tls.crt";
  enum class Shows { kFiles, kTexts, kNothing };
  for (const Shows how : {Shows::kFiles, Shows::kTexts, Shows::kNothing}) {
    const bool shows = how != Shows::kNothing;
    options.certificate_folder = how == Shows::kFiles ? folder.path() : "";
    if (how == Shows::kTexts) {
      options.certificate_pem = read_whole_file(certificate_path(folder.path()), 100'000).value();
      options.key_pem = read_whole_file(key_path(folder.path()), 100'000).value();
      options.ca_pem = options.certificate_pem;
      options.ca_file.clear();
    } else {
      options.certificate_pem.clear();
    }
    const auto context = std::move(TlsClientContext::create(options)).value();
    const auto client = context->open_session("localhost");
    TlsSession server(asking.get());
    EXPECT_EQ(shake_hands(*client, server), shows ? Status::kOk : Status::kFailed);
    EXPECT_EQ(server.open(), shows);
    EXPECT_EQ(server.failure(), shows ? "" : "peer did not return a certificate");
  }
}

TEST(TlsSession, WhatIsNotTlsFailsAndSaysSo) {
  const auto context = self_signed();
  for (const std::string& bytes :
       {std::string("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), std::string("GET / HTTP/1.1\r\n\r\n"),
        std::string(2000, '\xff'), std::string("\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9)}) {
    const auto session = context->open_session();
    session->receive(bytes);
    char read[100];
    const TlsSession::Reading reading = session->read(read, sizeof read);
    EXPECT_EQ(reading.size, 0u);
    EXPECT_FALSE(session->open());
    EXPECT_FALSE(session->write("x"));
    if (bytes[0] == '\x16')
      continue;  // the start of a hello that would be far too long: waited for or refused
    EXPECT_EQ(reading.status, Status::kFailed);
  }
}

}  // namespace
}  // namespace kvasir

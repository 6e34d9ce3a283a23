// What OpenSSL's client sees of a server's context: which certificate, which protocol, whether it
// may come back, and what it must show.
#include "net/io/tls_context.h"

#include <gmock/gmock.h>
#include <openssl/ssl.h>

#include <functional>

#include "net/io/tls_fixture.h"
#include "net/io/tls_names.h"
#include "net/io/tls_session.h"

namespace kvasir {
namespace {

// A client, and what became of its handshake.
class Visitor {
 public:
  Visitor() : context_(SSL_CTX_new(TLS_client_method()), &SSL_CTX_free) {}

  SSL_CTX* context() { return context_.get(); }
  void show(const TestCertificate& shown) {
    use_certificate({"certificate", shown.certificate}, {"key", shown.key}, context_.get());
  }
  // The name in the certificate that the server shows; empty: no handshake.
  std::string visit(const TlsContext& server, const char* host = nullptr,
                    std::string_view alpn = {}) {
    const std::unique_ptr<SSL, void (*)(SSL*)> client(SSL_new(context_.get()), &SSL_free);
    SSL_set_bio(client.get(), BIO_new(BIO_s_mem()), BIO_new(BIO_s_mem()));
    SSL_set_connect_state(client.get());
    if (host != nullptr) SSL_set_tlsext_host_name(client.get(), host);
    SSL_set_alpn_protos(client.get(), reinterpret_cast<const unsigned char*>(alpn.data()),
                        static_cast<unsigned>(alpn.size()));
    if (ticket != nullptr) SSL_set_session(client.get(), ticket.get());
    const std::unique_ptr<TlsSession> session = server.open_session();
    // The server is only content when it has read the client's last word.
    const bool done = exchange(*client, *session);
    resumed = SSL_session_reused(client.get()) == 1;
    protocol = session->protocol();
    cipher = SSL_get_cipher_name(client.get());
    if (!done) return "";
    SSL_set_shutdown(client.get(), SSL_SENT_SHUTDOWN);  // else its session is worth nothing
    ticket.reset(SSL_get1_session(client.get()));
    char name[100] = "";
    X509* const shown = SSL_get0_peer_certificate(client.get());
    X509_NAME_get_text_by_NID(X509_get_subject_name(shown), NID_commonName, name, sizeof name);
    return name;
  }

  std::string protocol, cipher;
  bool resumed = false;
  std::unique_ptr<SSL_SESSION, void (*)(SSL_SESSION*)> ticket{nullptr, &SSL_SESSION_free};

 private:
  static bool exchange(SSL& client, TlsSession& session) {
    char bytes[10'000];
    for (int i = 0; i < 10; ++i) {
      SSL_do_handshake(&client);
      for (int size; (size = BIO_read(SSL_get_wbio(&client), bytes, sizeof bytes)) > 0;) {
        session.receive({bytes, static_cast<size_t>(size)});
      }
      const TlsSession::Reading reading = session.read(bytes, sizeof bytes);
      if (reading.status == TlsSession::Status::kFailed) return false;
      for (size_t size; (size = session.take_output(bytes, sizeof bytes)) > 0;) {
        BIO_write(SSL_get_rbio(&client), bytes, static_cast<int>(size));
      }
      if (SSL_is_init_finished(&client) == 1) SSL_read(&client, bytes, sizeof bytes);  // tickets
    }
    return session.open() && SSL_is_init_finished(&client) == 1;
  }

  std::unique_ptr<SSL_CTX, void (*)(SSL_CTX*)> context_;
};

TlsCertificate named(const std::string& name, const TestCertificate& of,
                     std::vector<std::string> hosts = {}) {
  return {name, of.certificate, of.key, std::move(hosts)};
}

class TlsContextTest : public ::testing::Test {
 protected:
  std::unique_ptr<TlsContext> of(const std::vector<TlsCertificate>& certificates,
                                 const TlsOptions& options = {}) {
    Result<std::unique_ptr<TlsContext>> made = TlsContext::from_texts(certificates, options);
    EXPECT_TRUE(made) << made.error().message;
    return std::move(*made);
  }
  std::string seen(const TlsContext& server, const char* host = nullptr) {
    return Visitor().visit(server, host);
  }

  const TestCertificate first_{{"first.example"}};
  const TestCertificate second_{{"second.example", "*.second.example"}};
  const TestCertificate third_{{"third", "deep.second.example"}};
};

TEST_F(TlsContextTest, CertificateIsThatOfTheHostWhichIsAskedFor) {
  const auto server = of({named("1", first_), named("2", second_), named("3", third_)});
  EXPECT_EQ(seen(*server), "first.example");
  EXPECT_EQ(seen(*server, "first.example"), "first.example");
  EXPECT_EQ(seen(*server, "second.example"), "second.example");
  EXPECT_EQ(seen(*server, "SECOND.example"), "second.example");
  EXPECT_EQ(seen(*server, "any.second.example"), "second.example");
  EXPECT_EQ(seen(*server, "deep.second.example"), "third");
  EXPECT_EQ(seen(*server, "nobody.example"), "first.example");
}

TEST_F(TlsContextTest, HostsMayBeSaidInsteadOfRead) {
  const auto server = of({named("1", first_), named("2", second_, {"a.test", "*.b.test"})});
  EXPECT_EQ(seen(*server, "a.test"), "second.example");
  EXPECT_EQ(seen(*server, "x.y.b.test"), "second.example");
  EXPECT_EQ(seen(*server, "second.example"), "first.example");
}

TEST_F(TlsContextTest, CertificatesAreReplacedWhole) {
  const auto server = of({named("1", first_), named("2", second_)});
  EXPECT_FALSE(*server->reload_if_changed());
  ASSERT_TRUE(server->replace({named("3", third_)}));
  EXPECT_EQ(seen(*server, "second.example"), "third");
  const Result<void> refused = server->replace({named("1", first_), {"broken", "x", "y", {}}});
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("the certificate of broken"));
  EXPECT_THAT(refused.error().message, ::testing::Not(::testing::HasSubstr("PRIVATE")));
  EXPECT_EQ(seen(*server), "third");
  EXPECT_FALSE(server->replace({}));
}

TEST_F(TlsContextTest, OpenSessionsOutliveTheirContext) {
  auto server = of({named("1", first_), named("2", second_)});
  const std::unique_ptr<TlsSession> session = server->open_session();
  server.reset();
  EXPECT_FALSE(session->open());
}

TEST_F(TlsContextTest, FoldersAreReadAgainWhenOneOfThemChanges) {
  TlsFolder one, other;
  one.write_text("tls.crt", first_.certificate);
  one.write_text("tls.key", first_.key);
  other.write_text("tls.crt", second_.certificate);
  other.write_text("tls.key", second_.key);
  const auto server = std::move(TlsContext::from_folders({one.path(), other.path()})).value();
  EXPECT_EQ(seen(*server, "x.second.example"), "second.example");
  EXPECT_FALSE(*server->reload_if_changed());
  other.write_text("tls.crt", third_.certificate);
  EXPECT_FALSE(server->reload_if_changed());  // its key is another one's
  EXPECT_EQ(seen(*server, "x.second.example"), "second.example");
  other.write_text("tls.key", third_.key);
  EXPECT_TRUE(*server->reload_if_changed());
  EXPECT_EQ(seen(*server, "third"), "third");
  EXPECT_EQ(seen(*server, "x.second.example"), "first.example");
}

TEST_F(TlsContextTest, ProtocolIsTheServersChoiceOfWhatIsOffered) {
  TlsOptions options;
  options.protocol = TlsProtocol::kBoth;
  const auto server = of({named("1", first_), named("2", second_)}, options);
  for (const char* host : {"first.example", "second.example"}) {
    Visitor visitor;
    visitor.visit(*server, host, "\x08http/1.1\x02h2");
    EXPECT_EQ(visitor.protocol, "h2");
    visitor.visit(*server, host, "\x08http/1.1");
    EXPECT_EQ(visitor.protocol, "http/1.1");
    EXPECT_NE(visitor.visit(*server, host), "");
    EXPECT_EQ(visitor.protocol, "");
    EXPECT_EQ(visitor.visit(*server, host, "\x03h3x"), "");
  }
}

TEST_F(TlsContextTest, OldVersionsAndWeakSuitesAreRefused) {
  const auto server = of({named("1", first_)});
  const auto with = [&](const std::function<void(SSL_CTX*)>& set) {
    Visitor visitor;
    SSL_CTX_set_security_level(visitor.context(), 0);
    set(visitor.context());
    visitor.visit(*server);
    return visitor.protocol.empty() && visitor.ticket == nullptr ? "refused" : visitor.cipher;
  };
  EXPECT_EQ(with([](SSL_CTX* client) {
              SSL_CTX_set_min_proto_version(client, TLS1_VERSION);
              SSL_CTX_set_max_proto_version(client, TLS1_1_VERSION);
            }),
            "refused");
  const auto only = [](const char* suites) {
    return [suites](SSL_CTX* client) {
      SSL_CTX_set_max_proto_version(client, TLS1_2_VERSION);
      SSL_CTX_set_cipher_list(client, suites);
    };
  };
  EXPECT_EQ(with(only("AES128-GCM-SHA256")), "refused");  // RSA's key exchange
  EXPECT_EQ(with(only("ECDHE-ECDSA-AES128-SHA")), "refused");
  EXPECT_EQ(with(only("aNULL")), "refused");
  EXPECT_EQ(with(only("ECDHE-ECDSA-AES128-GCM-SHA256")), "ECDHE-ECDSA-AES128-GCM-SHA256");
}

TEST_F(TlsContextTest, ClientsComeBackWithTicketsWhenTheyAreGiven) {
  for (const int version : {TLS1_2_VERSION, TLS1_3_VERSION}) {
    TlsOptions options;
    options.resumption = true;
    const auto server = of({named("1", first_)}, options);
    Visitor visitor;
    SSL_CTX_set_max_proto_version(visitor.context(), version);
    visitor.visit(*server, "first.example");
    EXPECT_FALSE(visitor.resumed);
    visitor.visit(*server, "first.example");
    EXPECT_TRUE(visitor.resumed) << version;
    // What was agreed on under another certificate does not count.
    ASSERT_TRUE(server->replace({named("2", second_)}));
    EXPECT_EQ(visitor.visit(*server, "first.example"), "second.example");
    EXPECT_FALSE(visitor.resumed);
    const auto never = of({named("1", first_)});
    visitor.visit(*never, "first.example");
    visitor.visit(*never, "first.example");
    EXPECT_FALSE(visitor.resumed);
  }
}

TEST_F(TlsContextTest, ClientsShowWhatTheServerBelieves) {
  TlsFolder folder;
  folder.write_text("ca.crt", first_.certificate);
  TlsOptions options;
  options.client_ca_file = folder.path() + "/ca.crt";
  options.resumption = true;
  for (const auto auth : {TlsClientAuth::kOptional, TlsClientAuth::kRequired}) {
    options.client_auth = auth;
    const auto server = of({named("2", second_), named("3", third_)}, options);
    for (const char* host : {"second.example", "third"}) {
      Visitor believed, unknown, silent;
      believed.show(first_);
      EXPECT_EQ(believed.visit(*server, host), host);
      EXPECT_EQ(believed.visit(*server, host), host);
      EXPECT_TRUE(believed.resumed);
      unknown.show(second_);
      EXPECT_EQ(unknown.visit(*server, host), "");
      EXPECT_EQ(silent.visit(*server, host), auth == TlsClientAuth::kOptional ? host : "");
    }
  }
  const TestCertificate expired({"old"}, -60);
  folder.write_text("ca.crt", expired.certificate);
  const auto server = of({named("2", second_)}, options);
  Visitor late;
  late.show(expired);
  EXPECT_EQ(late.visit(*server), "");
}

TEST_F(TlsContextTest, UnusableClientAuthorityIsNamed) {
  TlsOptions options;
  options.client_auth = TlsClientAuth::kRequired;
  options.client_ca_file = "/nowhere/ca.crt";
  const auto refused = TlsContext::from_texts({named("1", first_)}, options);
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message, ::testing::HasSubstr("/nowhere/ca.crt"));
}

}  // namespace
}  // namespace kvasir

// What a TLS server shows, and what a TLS client believes.
//
// A server's context can be renewed while it serves: connections that are open keep what they began
// with.
// All functions may be called from any thread; neither copied nor moved.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/guarded.h"
#include "base/result.h"

struct ssl_ctx_st;

namespace kvasir {

class TlsSession;

enum class TlsVersion : uint8_t { k12, k13 };
// What is spoken over the connection (ALPN); of both, HTTP/2 where the client can.
enum class TlsProtocol : uint8_t { kHttp1, kHttp2, kBoth };
// Whether clients show certificates: never asked, asked, or refused without one.
enum class TlsClientAuth : uint8_t { kNone, kOptional, kRequired };

// "1.2" or "1.3", or as Kubernetes' flags write them: "VersionTLS12", "VersionTLS13".
Result<TlsVersion> parse_tls_version(std::string_view text);

struct TlsOptions {
  TlsVersion version_min = TlsVersion::k12;
  // By their IANA names ("TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"). Empty: those whose keys are of
  // one connection (ECDHE) and that check what they decrypt (AEAD). Suites of TLS 1.3 that are not
  // named stay on unless one is; with suites of TLS 1.3 alone, TLS 1.2 is off.
  std::vector<std::string> cipher_suites;
  // A client that offers protocols, but not this one, is refused.
  TlsProtocol protocol = TlsProtocol::kHttp2;
  TlsClientAuth client_auth = TlsClientAuth::kNone;
  // Certificates (PEM) of those who are believed when they vouch for a client.
  std::string client_ca_file = {};
  // Clients get tickets, with which a later handshake is shorter. They end with this context, with
  // its next certificate, and after two hours.
  bool resumption = false;
};

// A certificate as text, and for which hosts it is shown.
struct TlsCertificate {
  std::string name;                     // what errors call it
  std::string certificate;              // PEM: the server's first, then those that vouch for it
  std::string key;                      // PEM, without a pass phrase
  std::vector<std::string> hosts = {};  // also "*.example.org"; empty: as the certificate says
};

// A server's certificates with their keys, the oldest version and the cipher suites it takes.
class TlsContext {
 public:
  // With a certificate made now for `localhost`, valid for ten years: encrypts, proves nothing.
  static Result<std::unique_ptr<TlsContext>> self_signed(const TlsOptions& options = {});
  // With `folder`/tls.crt (the server's certificate first, then those that vouch for it) and
  // `folder`/tls.key, both PEM, as a Kubernetes secret has them. The key must not need a pass
  // phrase.
  static Result<std::unique_ptr<TlsContext>> from_folder(const std::string& folder,
                                                         const TlsOptions& options = {});
  // The same of several folders, or of texts, at least one: a client is shown the certificate that
  // is for the host which it asks for (SNI), or else the first.
  static Result<std::unique_ptr<TlsContext>> from_folders(const std::vector<std::string>& folders,
                                                          const TlsOptions& options = {});
  static Result<std::unique_ptr<TlsContext>> from_texts(
      const std::vector<TlsCertificate>& certificates, const TlsOptions& options = {});
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  // Reads the files again if they are not those that were read last: true when new connections get
  // a new certificate. On an error the old one stays, and is not tried again until the files change
  // once more. A context that was not made of folders has no files: false.
  Result<bool> reload_if_changed();
  // Of a context that was made of texts: new connections are shown these. On an error the old ones
  // stay.
  Result<void> replace(const std::vector<TlsCertificate>& certificates);

  // The server's side of one new connection.
  std::unique_ptr<TlsSession> open_session() const;

 private:
  using Handle = std::shared_ptr<ssl_ctx_st>;
  // What tells one state of the files from another.
  using Stamp = std::vector<int64_t>;

  TlsContext(std::vector<std::string> folders, TlsOptions options, Handle handle, Stamp stamp);
  static Stamp stamp_of(const std::vector<std::string>& folders, const TlsOptions& options);

  const std::vector<std::string> folders_;  // empty: not of files
  const TlsOptions options_;
  Guarded<Handle> handle_;
  Guarded<Stamp> stamp_;
};

struct TlsClientOptions {
  TlsVersion version_min = TlsVersion::k12;
  TlsProtocol protocol = TlsProtocol::kHttp1;
  // Certificates (PEM) of those who are believed when they vouch for a server. Empty: the system's,
  // SSL_CERT_FILE's and those of every file in the folders of SSL_CERT_DIR.
  std::string ca_file;
  // False: any certificate will do. Keeps out who only listens, and nobody else.
  bool check_server = true;
  // tls.crt and tls.key in it are shown to a server that asks who the client is. Empty: nothing is.
  std::string certificate_folder;
  // The same as text instead of files, for who has read them: PEM, of the certificate with those
  // behind it that vouch for it.
  std::string ca_pem;
  std::string certificate_pem;
  std::string key_pem;
};

// Whom a client believes, and what it shows of itself.
class TlsClientContext {
 public:
  static Result<std::unique_ptr<TlsClientContext>> create(const TlsClientOptions& options);

  // The client's side of one new connection to a server whose certificate must be for
  // `server_name`, a host name or an address.
  std::unique_ptr<TlsSession> open_session(const std::string& server_name) const;

 private:
  explicit TlsClientContext(std::shared_ptr<ssl_ctx_st> handle) : handle_(std::move(handle)) {}

  const std::shared_ptr<ssl_ctx_st> handle_;
};

// How a client reaches its server: encrypted with a context, which must outlive the client.
struct TlsPeer {
  const TlsClientContext* context = nullptr;  // null: plain
  std::string server_name;

  // Null when plain.
  std::unique_ptr<TlsSession> open_session() const;
};

}  // namespace kvasir

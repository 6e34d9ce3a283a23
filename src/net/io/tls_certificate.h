// Certificates and keys in OpenSSL's contexts: from files, or made now. Private to net/.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"

namespace kvasir {

enum class TlsKeyKind { kP256, kRsa };

// Makes a key and a certificate for `localhost` and puts both into `context`, which can hold one of
// each kind.
Result<void> use_self_signed_certificate(TlsKeyKind kind, SSL_CTX* context);

// A certificate and its key in a folder, as a Kubernetes secret has them.
std::string certificate_path(const std::string& folder);
std::string key_path(const std::string& folder);

// Put what files hold (PEM) into `context`: from `folder` a certificate with those behind it that
// vouch for it, and its key, which must not need a pass phrase; from `path` the certificates whose
// holders are believed when they vouch for others. Errors name the file.
Result<void> use_certificate_folder(const std::string& folder, SSL_CTX* context);
Result<void> use_trusted_file(const std::string& path, SSL_CTX* context);
// The same of texts. Errors call them by the names given.
struct NamedPem {
  std::string name;
  std::string_view text;
};
Result<void> use_certificate(const NamedPem& certificate, const NamedPem& key, SSL_CTX* context);
Result<void> use_trusted(const NamedPem& certificates, SSL_CTX* context);

// The hosts for which the context's certificate is: its alternative names, else its common name.
std::vector<std::string> certificate_hosts(SSL_CTX* context);
// Clients are asked for a certificate, and told which of `context`'s trusted ones it is to lead to.
void ask_for_certificate(bool required, SSL_CTX* context);

// What OpenSSL says went wrong last on this thread; forgets it.
std::string tls_error();

}  // namespace kvasir

// A certificate that signs itself, for a server that was given none. Private to net/.
#pragma once

#include <openssl/ssl.h>

#include <string>

#include "base/result.h"

namespace kvasir {

enum class TlsKeyKind { kP256, kRsa };

// Makes a key and a certificate for `localhost` and puts both into `context`, which can hold one of
// each kind.
Result<void> use_self_signed_certificate(TlsKeyKind kind, SSL_CTX* context);

// Put what a PEM text holds into `context`: a server's certificate and those behind it that vouch
// for it; its key, which must not need a pass phrase. False: tls_error() tells why not.
bool use_certificate_chain(const std::string& pem, SSL_CTX* context);
bool use_private_key(const std::string& pem, SSL_CTX* context);

// What OpenSSL says went wrong last on this thread; forgets it.
std::string tls_error();

}  // namespace kvasir

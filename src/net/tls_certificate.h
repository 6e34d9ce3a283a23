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

// What OpenSSL says went wrong last on this thread; forgets it.
std::string tls_error();

}  // namespace kvasir

#include "net/io/tls_names.h"

#include <openssl/ssl.h>

#include "base/text.h"

namespace kvasir {
namespace {

void forget_names(void*, void* names, CRYPTO_EX_DATA*, int, long, void*) {
  delete static_cast<TlsNames*>(names);
}

// Where a context keeps its names.
int names_index() {
  static const int index = SSL_CTX_get_ex_new_index(0, nullptr, nullptr, nullptr, &forget_names);
  return index;
}

// Not refusing who is unknown: a client may know the server by an address or another name.
int choose_context(SSL* ssl, int*, void* names) {
  const char* const host = SSL_get_servername(ssl, TLSEXT_NAMETYPE_host_name);
  if (host == nullptr) return SSL_TLSEXT_ERR_NOACK;
  SSL_CTX* const chosen = static_cast<const TlsNames*>(names)->find(host);
  if (chosen != nullptr) SSL_set_SSL_CTX(ssl, chosen);
  return SSL_TLSEXT_ERR_OK;
}

}  // namespace

void TlsNames::attach(std::unique_ptr<TlsNames> names, SSL_CTX* fallback) {
  SSL_CTX_set_tlsext_servername_callback(fallback, &choose_context);
  SSL_CTX_set_tlsext_servername_arg(fallback, names.get());
  SSL_CTX_set_ex_data(fallback, names_index(), names.release());
}

void TlsNames::add(std::string_view host, const Handle& context) {
  contexts_.emplace(lower_case(host), context);
}

SSL_CTX* TlsNames::find(std::string_view host) const {
  const std::string asked = lower_case(host);
  if (const auto found = contexts_.find(asked); found != contexts_.end()) {
    return found->second.get();
  }
  for (size_t dot = asked.find('.'); dot != std::string::npos; dot = asked.find('.', dot + 1)) {
    const auto found = contexts_.find("*" + asked.substr(dot));
    if (found != contexts_.end()) return found->second.get();
  }
  return nullptr;
}

}  // namespace kvasir

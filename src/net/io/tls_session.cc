#include "net/io/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

#include "base/assert.h"

namespace kvasir {
namespace {

// A certificate is for host names and for addresses, and these are checked differently. False: the
// name is neither.
bool expect_server(SSL* ssl, const std::string& name) {
  if (name.empty()) return false;  // OpenSSL would take any
  X509_VERIFY_PARAM* const expected = SSL_get0_param(ssl);
  if (X509_VERIFY_PARAM_set1_ip_asc(expected, name.c_str()) == 1) return true;
  ERR_clear_error();
  SSL_set_hostflags(ssl, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
  return SSL_set1_host(ssl, name.c_str()) == 1 && SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
}

// What OpenSSL says of the error that happened last on this thread; forgets it.
std::string reason_of_failure(SSL* ssl) {
  const long verdict = SSL_get_verify_result(ssl);
  const char* reason = ERR_reason_error_string(ERR_peek_error());
  ERR_clear_error();
  if (verdict != X509_V_OK && SSL_get_verify_mode(ssl) != SSL_VERIFY_NONE) {
    return std::string("the certificate is not accepted: ") +
           X509_verify_cert_error_string(verdict);
  }
  return reason != nullptr ? reason : "what came is not TLS";
}

}  // namespace

TlsSession::TlsSession(ssl_ctx_st* context)
    : ssl_(SSL_new(context)),
      from_network_(BIO_new(BIO_s_mem())),
      to_network_(BIO_new(BIO_s_mem())) {
  KVASIR_ASSERT(ssl_ != nullptr && from_network_ != nullptr && to_network_ != nullptr, "memory");
  BIO_set_mem_eof_return(from_network_, -1);  // empty means later, not over
  SSL_set_bio(ssl_, from_network_, to_network_);
  SSL_set_accept_state(ssl_);
}

TlsSession::TlsSession(ssl_ctx_st* context, const std::string& server_name) : TlsSession(context) {
  SSL_set_connect_state(ssl_);
  if (expect_server(ssl_, server_name)) return;
  failure_ = "\"" + server_name + "\" is not a name that a server can have";
  ERR_clear_error();
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
}

bool TlsSession::start() {
  if (!failure_.empty()) return false;
  ERR_clear_error();
  const int done = SSL_do_handshake(ssl_);
  if (done == 1 || SSL_get_error(ssl_, done) == SSL_ERROR_WANT_READ) return true;
  failure_ = reason_of_failure(ssl_);
  return false;
}

void TlsSession::receive(std::string_view bytes) {
  const int kept = BIO_write(from_network_, bytes.data(), static_cast<int>(bytes.size()));
  KVASIR_ASSERT(kept == static_cast<int>(bytes.size()), "memory takes what it is given");
}

TlsSession::Reading TlsSession::read(char* into, size_t room) {
  ERR_clear_error();
  size_t size = 0;
  if (SSL_read_ex(ssl_, into, room, &size) == 1) return {Status::kOk, size};
  switch (SSL_get_error(ssl_, 0)) {
    case SSL_ERROR_WANT_READ:
      return {Status::kOk, 0};
    case SSL_ERROR_ZERO_RETURN:
      return {Status::kClosed, 0};
    default:
      met_plain_http_ = ERR_GET_REASON(ERR_peek_error()) == SSL_R_HTTP_REQUEST;
      failure_ = reason_of_failure(ssl_);
      return {Status::kFailed, 0};
  }
}

size_t TlsSession::input_size() const {
  return BIO_ctrl_pending(from_network_) + (SSL_has_pending(ssl_) != 0 ? 1 : 0);
}

bool TlsSession::open() const {
  return SSL_is_init_finished(ssl_) == 1;
}

std::string_view TlsSession::protocol() const {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(ssl_, &name, &size);
  return {reinterpret_cast<const char*>(name), size};
}

bool TlsSession::write(std::string_view plaintext) {
  KVASIR_ASSERT(plaintext.size() <= kWriteBytesMax, "written in slices");
  if (plaintext.empty()) return true;
  ERR_clear_error();
  size_t written = 0;
  const bool done = SSL_write_ex(ssl_, plaintext.data(), plaintext.size(), &written) == 1;
  ERR_clear_error();
  return done && written == plaintext.size();
}

void TlsSession::say_goodbye() {
  ERR_clear_error();
  SSL_shutdown(ssl_);
  ERR_clear_error();
}

size_t TlsSession::take_output(char* into, size_t room) {
  const int size = BIO_read(to_network_, into, static_cast<int>(room));
  return size <= 0 ? 0 : static_cast<size_t>(size);
}

size_t TlsSession::output_size() const {
  return BIO_ctrl_pending(to_network_);
}

}  // namespace kvasir

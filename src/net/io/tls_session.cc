#include "net/io/tls_session.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/ssl.h>

#include "base/assert.h"

namespace kvasir {

TlsSession::TlsSession(ssl_ctx_st* context)
    : ssl_(SSL_new(context)),
      from_network_(BIO_new(BIO_s_mem())),
      to_network_(BIO_new(BIO_s_mem())) {
  KVASIR_ASSERT(ssl_ != nullptr && from_network_ != nullptr && to_network_ != nullptr, "memory");
  BIO_set_mem_eof_return(from_network_, -1);  // empty means later, not over
  SSL_set_bio(ssl_, from_network_, to_network_);
  SSL_set_accept_state(ssl_);
}

TlsSession::~TlsSession() {
  SSL_free(ssl_);
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
      ERR_clear_error();
      return {Status::kFailed, 0};
  }
}

bool TlsSession::open() const {
  return SSL_is_init_finished(ssl_) == 1;
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

}  // namespace kvasir

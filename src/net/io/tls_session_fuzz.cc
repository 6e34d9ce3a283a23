// Any bytes as the start of a TLS connection, in pieces: refused or waited for, never more than
// that, because nobody who does not know the keys gets as far as plaintext.
#include <algorithm>
#include <cstdint>

#include "base/assert.h"
#include "net/io/tls_context.h"
#include "net/io/tls_session.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto context = std::move(kvasir::TlsContext::self_signed()).value();
  const auto session = context->open_session();
  char bytes[4096];
  uint32_t cuts = static_cast<uint32_t>(size);
  for (size_t at = 0; at < size;) {
    cuts = cuts * 1664525u + 1013904223u;
    const size_t piece = std::min<size_t>((cuts >> 20) + 1, size - at);
    session->receive({reinterpret_cast<const char*>(data) + at, piece});
    at += piece;
    const auto reading = session->read(bytes, sizeof bytes);
    KVASIR_ASSERT(reading.size == 0 && !session->open(), "a handshake needs the client's keys");
    while (session->take_output(bytes, sizeof bytes) > 0) continue;
    if (reading.status != kvasir::TlsSession::Status::kOk) break;
  }
  return 0;
}

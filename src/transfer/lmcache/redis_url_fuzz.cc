// Of any text: what is read names a host, and no error repeats the text.
#include <cstdint>
#include <string_view>

#include "base/assert.h"
#include "transfer/lmcache/redis_url.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto url = kvasir::parse_redis_url(text);
  KVASIR_ASSERT(url ? !url->host.empty() && url->port > 0 : url.error().message.size() < 100,
                "it is somewhere, or not said");
  return 0;
}

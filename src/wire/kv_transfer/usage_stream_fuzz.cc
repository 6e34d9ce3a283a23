// Of any bytes in any two pieces: the same comes out as in one, and nothing is lost without a
// usage.
#include <cstdint>
#include <string>
#include <string_view>

#include "base/assert.h"
#include "wire/kv_transfer/usage_stream.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view bytes(reinterpret_cast<const char*>(data), size);
  const size_t cut = size == 0 ? 0 : data[0] % (size + 1);
  kvasir::UsageStream whole(7), cut_in_two(7), reads(std::nullopt);
  std::string a(whole.feed(bytes));
  a += whole.rest();
  std::string b(cut_in_two.feed(bytes.substr(0, cut)));
  b += cut_in_two.feed(bytes.substr(cut));
  b += cut_in_two.rest();
  KVASIR_ASSERT(a == b, "how the bytes are cut does not matter");
  std::string c(reads.feed(bytes));
  c += reads.rest();
  KVASIR_ASSERT(c == bytes, "nothing changes where nothing is to be set");
  return 0;
}

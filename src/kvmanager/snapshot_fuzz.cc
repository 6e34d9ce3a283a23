#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "kvmanager/snapshot.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

// With the checksum that fits, so that what is behind it is reached.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string bytes = "KVSNAP1\n";
  bytes.append(reinterpret_cast<const char*>(data), size);
  const uint64_t sum = XXH3_64bits(bytes.data(), bytes.size());
  for (int shift = 0; shift < 64; shift += 8) bytes.push_back(static_cast<char>(sum >> shift));
  const auto read = kvasir::read_snapshot(bytes);
  if (!read) return 0;
  const auto again = kvasir::read_snapshot(kvasir::write_snapshot(*read));
  if (!again || again->blocks != read->blocks || again->sources != read->sources) std::abort();
  return 0;
}

// Token ids, many at once: the part of a long list that is ids of up to seven digits with "," or
// ", " between them, which is all of most. Private to wire/.
#pragma once

#include <cstddef>
#include <cstdint>

namespace kvasir {

// Bytes that it looks at together, the ids that may be in them, and bytes before an id that it may
// read.
inline constexpr size_t kIdBlockBytes = 64;
inline constexpr size_t kIdBlockIds = kIdBlockBytes / 2;
inline constexpr size_t kIdBlockBefore = 8;

struct IdsRead {
  const char* at;  // behind the last id and what follows it: perhaps where an id begins
  size_t count;
};

// Reads whole ids with what follows each, and stops before what is anything else: an id that is
// longer, begins with a zero or is none, or the end. Nothing is read without AVX2. Preconditions:
// an id begins at `at`, and kIdBlockBefore bytes before it can be read; `out` has room for `room`.
IdsRead read_id_blocks(const char* at, const char* end, uint32_t* out, size_t room);

}  // namespace kvasir

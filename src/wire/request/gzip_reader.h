// Compressed request bodies, opened so that a picker can read the prompt.
//
// A few bytes can unfold to gigabytes, so what comes out is bounded twice: in bytes, and by how
// many times larger it is than what went in. Values in, values out; thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

enum class ContentCoding : uint8_t {
  kIdentity,
  kGzip,
  kDeflate,
  kUnreadable,  // another one, or several
};

// The value of a Content-Encoding field: gzip, x-gzip, deflate, identity (or nothing).
ContentCoding content_coding(std::string_view content_encoding);

struct InflateLimits {
  size_t output_bytes = 64 * 1024 * 1024;
  // Output over input. JSON of ids or text stays below 20; deflate can reach 1032.
  size_t ratio = 200;
  // Output up to here is taken at any ratio: short bodies of one repeated letter are no attack.
  size_t output_bytes_at_any_ratio = 1024 * 1024;
  size_t members = 64;  // of a gzip file
};

// What `body` unfolds to; a body of kIdentity is copied. The text's capacity leaves `padding` bytes
// behind it. Errors: not what the coding says, cut short, bytes behind the end, beyond a limit,
// kUnreadable. kDeflate is taken with zlib's frame (RFC 9110) and bare, as some clients send it.
Result<std::string> inflate_body(ContentCoding coding, std::string_view body,
                                 const InflateLimits& limits = {}, size_t padding = 0);

}  // namespace kvasir

// Where a Redis is, as LMCache's remote_url says it: redis://[USER[:PASSWORD]@]HOST[:PORT][/DB]
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace kvasir {

struct RedisUrl {
  std::string host;
  uint16_t port = 6379;
  std::string user, password;  // percent-decoded; empty: none
  uint32_t db = 0;

  // HOST:PORT/DB, for logs.
  std::string public_text() const;
};

// No error repeats what the URL says: there may be a password in it.
Result<RedisUrl> parse_redis_url(std::string_view url);

}  // namespace kvasir

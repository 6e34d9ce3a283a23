#include "gateway/failure_words.h"

#include <cstdio>

namespace kvasir {

std::string within(Duration limit) {
  char text[40];
  const double seconds = to_seconds(limit);
  std::snprintf(text, sizeof text, "within %g %s", seconds < 1 ? seconds * 1000 : seconds,
                seconds < 1 ? "ms" : "s");
  return text;
}

bool is_passing(int status) {
  return status == 500 || status == 502 || status == 503 || status == 504;
}

bool is_closed(const HttpFailure& failure) {
  using Kind = HttpFailure::Kind;
  return failure.kind == Kind::kClosed || (failure.kind == Kind::kConnect && failure.resent);
}

std::string plain_words(const HttpFailure& failure, const HttpClientLimits& limits) {
  using Kind = HttpFailure::Kind;
  using Cause = HttpFailure::Cause;
  switch (failure.kind) {
    case Kind::kConnect:
      if (failure.cause == Cause::kRefused) return "connection refused";
      if (failure.cause == Cause::kTimedOut) {
        return "no connection " + within(limits.connect_timeout);
      }
      return "no connection";
    case Kind::kClosed:
      return std::string(kClosedWords);
    case Kind::kFirstByteTimeout:
      return "no byte of the answer " + within(limits.first_byte_timeout);
    case Kind::kIdleTimeout:
      return "the answer stalled: no byte " + within(limits.idle_timeout);
    case Kind::kMalformed:
      break;
  }
  return failure.message;  // names the rule of HTTP that the answer broke
}

}  // namespace kvasir

#include "gateway/request_bounds.h"

#include <algorithm>
#include <charconv>
#include <optional>
#include <string>

#include "base/parameters.h"
#include "gateway/gateway_options.h"
#include "net/http/http_head.h"

namespace kvasir {
namespace {

// Digits of a number, or characters of a duration, that anybody means.
constexpr size_t kBoundCharactersMax = 32;

std::optional<uint32_t> read_retries(std::string_view text) {
  uint32_t retries = 0;
  const char* const end = text.data() + text.size();
  const auto [stop, problem] = std::from_chars(text.data(), end, retries);
  if (stop != end || text.empty()) return std::nullopt;
  // More than fits is more than the flags allow.
  if (problem == std::errc::result_out_of_range) return UINT32_MAX;
  return problem == std::errc() ? std::optional<uint32_t>(retries) : std::nullopt;
}

std::optional<Duration> read_timeout(std::string_view text) {
  if (text.empty() || text.size() > kBoundCharactersMax) return std::nullopt;
  const bool has_unit = text.find_first_not_of("0123456789.") != std::string_view::npos;
  const std::optional<Duration> read = parse_duration(std::string(text) + (has_unit ? "" : "s"));
  return read && *read > Duration::zero() ? read : std::nullopt;
}

// A client cannot have more than the flags give.
Duration bounded(Duration asked, const GatewayOptions& options) {
  const Duration most = options.request_timeout_max > Duration::zero() ? options.request_timeout_max
                                                                       : options.request_timeout;
  return most > Duration::zero() ? std::min(asked, most) : asked;
}

}  // namespace

Result<RequestBounds> request_bounds(const HttpHead& head, const GatewayOptions& options) {
  RequestBounds bounds;
  bounds.attempts_max = options.attempts_max;
  bounds.timeout = options.request_timeout;
  if (const auto text = head.find(kMaxRetriesHeader)) {
    const std::optional<uint32_t> retries = read_retries(*text);
    if (!retries) {
      return Error{std::string(kMaxRetriesHeader) +
                   ": not a number of retries: write a whole number, as in 0 or 3"};
    }
    if (*retries < UINT32_MAX) bounds.prefills_max = *retries + 1;
    bounds.attempts_max = std::min(bounds.attempts_max, bounds.prefills_max);
  }
  if (const auto text = head.find(kRequestTimeoutHeader)) {
    const std::optional<Duration> timeout = read_timeout(*text);
    if (!timeout) {
      return Error{std::string(kRequestTimeoutHeader) +
                   ": not a duration above 0: write a number of seconds, or a number with a unit, "
                   "as in 30, 30s or 500ms"};
    }
    bounds.timeout = bounded(*timeout, options);
  }
  return bounds;
}

}  // namespace kvasir

// HTTP's status codes: those that several places decide by, and their names.
#pragma once

#include <string_view>

namespace kvasir {

inline constexpr int kHttpOk = 200;
inline constexpr int kHttpNoContent = 204;
inline constexpr int kHttpRedirects = 300;  // and beyond
inline constexpr int kHttpNotModified = 304;
inline constexpr int kHttpErrors = 400;  // and beyond
inline constexpr int kHttpUnauthorized = 401;
inline constexpr int kHttpForbidden = 403;
inline constexpr int kHttpNotFound = 404;
inline constexpr int kHttpConflict = 409;
inline constexpr int kHttpGone = 410;
inline constexpr int kHttpTooManyRequests = 429;
// What nginx calls a client that left; only in reports, never sent.
inline constexpr int kHttpClientClosedRequest = 499;
inline constexpr int kHttpServerErrors = 500;  // and beyond
inline constexpr int kHttpBadGateway = 502;
inline constexpr int kHttpServiceUnavailable = 503;
inline constexpr int kHttpGatewayTimeout = 504;

// The reason phrase of a status code.
std::string_view status_text(int status);
// Whether an answer with this status has no body, whoever asked.
inline bool is_bodiless(int status) {
  return status == kHttpNoContent || status == kHttpNotModified;
}

}  // namespace kvasir

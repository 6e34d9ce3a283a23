// What is told of a request when it is over, whoever answered it: the access log and the metrics of
// tenants are made of it. Views are valid during the call. No bodies, no keys.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "base/clock.h"

namespace kvasir {

struct Tenant;

// Why the gateway refused what a tenant, or nobody known, asked for.
enum class TenantRefusal : uint8_t {
  kNone,
  kNoKey,
  kUnknownKey,  // or an expired one
  kModel,
  kRequests,
  kTokens,
  kConcurrency,
};
inline constexpr size_t kTenantRefusals = 7;

enum class VisitEnd : uint8_t {
  kComplete,
  kCut,         // the answer could not be completed
  kClientGone,  // before the end of the answer
};

struct VisitReport {
  const Tenant* tenant = nullptr;  // null: nobody is asked who it is, or it is not known
  std::string_view request_id;     // empty: it got none
  std::string_view method;
  std::string_view path;  // as it was sent, without the query; cut to a limit
  std::string_view model;
  std::string_view route;     // "namespace/name" of the HTTPRoute, or NAME=VALUE of a header's
  std::string_view endpoint;  // that was asked last
  int status = 0;
  TenantRefusal refusal = TenantRefusal::kNone;
  VisitEnd end = VisitEnd::kComplete;
  Duration total{};  // from the request's last byte
  std::optional<Duration> first_byte = {};
  Duration held{};             // by flow control
  uint64_t request_bytes = 0;  // of the body
  uint64_t answer_bytes = 0;   // the same, with the framing that a worker gave it
  // As the answer's usage says; nullopt: it does not.
  std::optional<uint64_t> prompt_tokens = {};
  std::optional<uint64_t> completion_tokens = {};
  std::optional<uint64_t> cached_tokens = {};
  // What counts against the tenant's limit, which is estimated where the usage says nothing.
  uint64_t counted_tokens = 0;
};

}  // namespace kvasir

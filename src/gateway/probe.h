// What the gateway reports of itself. apps/ turns it into metrics and logs. Called from every gateway thread:
// implementations are thread-safe and do not block.
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"
#include "gateway/visit_report.h"
#include "handoff/two_legs.h"
#include "legs/legs_relays.h"
#include "model/endpoint.h"
#include "serving/pool_probe.h"

namespace kvasir {

// Why a request was sent to another endpoint.
enum class RetryReason : uint8_t {
  kNotConnected,  // the connection was refused or timed out
  kClosed,        // it was closed without an answer
  kMalformed,     // the answer was no HTTP
  kServerError,   // the answer was 500, 502, 503 or 504, or a 200 that holds an error or nothing
  kUnhealthy,     // the endpoint became unhealthy before its first byte
  kNoAddress,
  kTooManyRequests,  // the answer was 429
  kTooLate,          // no answer to a prefill leg in time
};
inline constexpr size_t kRetryReasons = 8;

// How the gateway ended a request that got no good answer, or only a part of one. No bodies.
struct BadAnswer {
  std::string_view request_id;
  std::string_view endpoint;  // which was asked last; empty: none was
  int status = 0;             // what the client got; 0: nothing
  bool cut = false;           // after its first byte
  std::string_view why;
};

// Of a request whose decision named another endpoint to prefill, when it is over.
struct TwoLegsReport {
  const HandoffReport& handoff;
  std::string_view refused;  // the code of what the client got instead of an answer; empty: it did
  bool released = false;     // its client left, and what was handed over is fetched by nobody
};

struct HeaderRoute;
struct RouteRule;
struct RouteTarget;

// Of a request that a HTTPRoute sent to a Service, when it is over.
struct RouteAnswerReport {
  const RouteRule& rule;
  const RouteTarget& target;
  const LegsReport& answer;
};

// Why a request that a HTTPRoute sent to a Service is sent there again.
enum class RouteRetryReason : uint8_t {
  kStatus,      // the answer's was one of the rule's
  kConnection,  // none was made, or it broke
  kTimeout,     // the attempt took too long
  kRefused,     // it is not: too many are tried again already
};
inline constexpr size_t kRouteRetryReasons = 4;

// Of a copy of a request that a HTTPRoute sent elsewhere, when it is over.
struct MirrorReport {
  const RouteRule& rule;
  const RouteTarget& target;
  int status = 0;  // 0: none was made
  bool is_cut = false;
};

// Of a request that a header sent to an address of its own, when it is over.
struct HeaderRouteReport {
  const HeaderRoute& route;
  const LegsReport& answer;
};

class GatewayProbe : public PoolProbe {
 public:
  // The request goes to another endpoint now.
  virtual void on_retry(const Endpoint& failed, RetryReason reason, std::string_view detail) = 0;
  // So many endpoints closed their connection on this request, and it is not sent to more.
  virtual void on_poison(std::string_view request_id, size_t endpoints) {
    static_cast<void>(request_id), static_cast<void>(endpoints);
  }
  virtual void on_bad_answer(const BadAnswer& answer) { static_cast<void>(answer); }
  virtual void on_two_legs(const TwoLegsReport& report) { static_cast<void>(report); }
  // A POST came, and there are routes by header; null: it goes to the pool.
  virtual void on_routed_by_header(const HeaderRoute* route) { static_cast<void>(route); }
  virtual void on_header_route(const HeaderRouteReport& report) { static_cast<void>(report); }
  virtual void on_route_answer(const RouteAnswerReport& report) { static_cast<void>(report); }
  virtual void on_route_retry(const RouteRule& rule, const RouteTarget& target,
                              RouteRetryReason reason) {
    static_cast<void>(rule), static_cast<void>(target), static_cast<void>(reason);
  }
  virtual void on_mirrored(const MirrorReport& report) { static_cast<void>(report); }
  // The certificates' files changed: `error` is empty when new connections get the new ones.
  virtual void on_certificate_read(std::string_view error) { static_cast<void>(error); }
  // A request is over; only where there are tenants or an access log.
  virtual void on_visit_ended(const VisitReport& report) { static_cast<void>(report); }
  // A request was refused before it could be relayed.
  virtual void on_not_relayed(int status, std::string_view reason) = 0;
};

}  // namespace kvasir

// What the gateway reports of itself. apps/ turns it into metrics and logs. Called from every gateway thread:
// implementations are thread-safe and do not block.
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"
#include "model/endpoint.h"
#include "serving/pool_probe.h"

namespace kvasir {

struct RequestReport {
  int status = 0;  // 499: the client left before the answer was complete
  std::optional<EndpointId> endpoint;
  bool inference = false;  // routed by the policy
  bool complete = false;   // the whole answer was relayed
  Duration total{};
  std::optional<Duration> first_byte;  // of the body, streamed answers only
  Duration scheduling{};
  Duration held{};         // before it was sent on, or given up
};

// Why a request was sent to another endpoint.
enum class RetryReason : uint8_t {
  kNotConnected,  // the connection was refused or timed out
  kClosed,        // it was closed without an answer
  kMalformed,     // the answer was no HTTP
  kServerError,   // the answer was 500, 502, 503 or 504, or a 200 that holds an error or nothing
  kUnhealthy,     // the endpoint became unhealthy before its first byte
  kNoAddress,
  kTooManyRequests,  // the answer was 429
};
inline constexpr size_t kRetryReasons = 7;

// How the gateway ended a request that got no good answer, or only a part of one. No bodies.
struct BadAnswer {
  std::string_view request_id;
  std::string_view endpoint;  // which was asked last; empty: none was
  int status = 0;             // what the client got
  bool cut = false;           // after its first byte
  std::string_view why;
};

class GatewayProbe : public PoolProbe {
 public:
  virtual void on_started() = 0;
  // The endpoint itself, not its slot, which may change hands while a request runs.
  virtual void on_routed(const Endpoint& endpoint) = 0;    // an attempt goes there
  virtual void on_released(const Endpoint& endpoint) = 0;  // that attempt is over
  // The request goes to another endpoint now.
  virtual void on_retry(const Endpoint& failed, RetryReason reason, std::string_view detail) = 0;
  // So many endpoints closed their connection on this request, and it is not sent to more.
  virtual void on_poison(std::string_view request_id, size_t endpoints) {
    static_cast<void>(request_id), static_cast<void>(endpoints);
  }
  virtual void on_bad_answer(const BadAnswer& answer) { static_cast<void>(answer); }
  virtual void on_finished(const RequestReport& report) = 0;
  virtual void on_refused(int status, std::string_view reason) = 0;  // before it was a whole request
};

}  // namespace kvasir

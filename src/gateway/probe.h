// What the gateway reports of itself. apps/ turns it into metrics and logs. Called from every gateway thread:
// implementations are thread-safe and do not block.
#pragma once

#include <optional>
#include <string_view>

#include "base/clock.h"
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
};
inline constexpr size_t kRetryReasons = 7;

// How the gateway ended a request that got no good answer, or only a part of one. No bodies.
struct BadAnswer {
  std::string_view request_id;
  std::string_view endpoint;  // which was asked last; empty: none was
  int status = 0;             // what the client got; 0: nothing
  bool cut = false;           // after its first byte
  std::string_view why;
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
  // A request was refused before it could be relayed.
  virtual void on_not_relayed(int status, std::string_view reason) = 0;
};

}  // namespace kvasir

#include "conformance/check.h"

#include <utility>

#include "conformance/checks.h"

namespace kvasir {

Finding passed() {
  return {};
}

Finding failed(std::string expected, std::string seen) {
  return {CheckVerdict::kFail, std::move(expected), std::move(seen)};
}

Finding skipped(std::string reason) {
  return {CheckVerdict::kSkip, "", std::move(reason)};
}

std::string_view name_of(Severity severity) {
  switch (severity) {
    case Severity::kMust:
      return "MUST";
    case Severity::kShould:
      return "SHOULD";
    case Severity::kReference:
      break;
  }
  return "reference";
}

std::string_view name_of(CheckVerdict verdict) {
  switch (verdict) {
    case CheckVerdict::kPass:
      return "pass";
    case CheckVerdict::kFail:
      return "FAIL";
    case CheckVerdict::kSkip:
      break;
  }
  return "skip";
}

// What may hurt the picker comes last, and a look at its health after it.
const std::vector<Check>& all_checks() {
  static const std::vector<Check> kChecks = [] {
    std::vector<Check> checks;
    for (const auto part : {transport_checks, pick_checks, request_body_checks, subset_checks,
                            refusal_checks, response_checks, mode_checks, robustness_checks}) {
      for (const Check& check : part()) checks.push_back(check);
    }
    return checks;
  }();
  return kChecks;
}

const std::vector<const char*>& unseen_properties() {
  static const std::vector<const char*> kUnseen = {
      "whether the pick is a good one: use of engine metrics, cache scoring, load prediction, LoRA "
      "affinity",
      "what is done when engines' metrics are stale, missing or wrong",
      "flow control: queueing, fairness between tenants, priorities, shedding with 429, eviction",
      "which endpoints of the pool are ready: health checks, draining, and following Kubernetes "
      "objects",
      "what completion hooks do with a response (usage, latencies), and the picker's own metrics",
      "header value source (value before raw_value), TLS, and leader election",
      "that a client's x-prefiller-host-port and other control headers are removed by the gateway",
  };
  return kUnseen;
}

}  // namespace kvasir

#include "conformance/checks.h"
#include "conformance/health_probe.h"
#include "conformance/request_phase.h"

namespace kvasir {
namespace {

constexpr char kSpecTransport[] = "proposal 004, transport";
constexpr char kReferenceHealth[] = "reference EPP: health service";
constexpr char kServing[] = "SERVING";

Finding exchange(Subject& subject) {
  const RequestPhase phase = ask(subject, completion(subject));
  if (phase.headers != nullptr && phase.trouble.empty()) return passed();
  return failed("answers to headers and body", phase.instead());
}

Finding health_of(Subject& subject, const char* service) {
  const std::string seen = probe_health(subject, service);
  return seen == kServing ? passed() : failed(kServing, seen);
}

Finding health_whole(Subject& subject) {
  return health_of(subject, "");
}
Finding health_ext_proc(Subject& subject) {
  return health_of(subject, "envoy.service.ext_proc.v3.ExternalProcessor");
}
Finding health_liveness(Subject& subject) {
  return health_of(subject, "liveness");
}
Finding health_readiness(Subject& subject) {
  return health_of(subject, "readiness");
}

}  // namespace

std::vector<Check> transport_checks() {
  return {
      {"transport.exchange",
       "ExternalProcessor.Process is served, and a request in FULL_DUPLEX_STREAMED is answered.",
       kSpecTransport, Severity::kMust, exchange},
      {"health.server", "grpc.health.v1 says SERVING of the whole server (empty service name).",
       kReferenceHealth, Severity::kReference, health_whole},
      {"health.ext_proc",
       "grpc.health.v1 says SERVING of envoy.service.ext_proc.v3.ExternalProcessor, which Envoy "
       "asks for.",
       kReferenceHealth, Severity::kReference, health_ext_proc},
      {"health.liveness", "grpc.health.v1 says SERVING of 'liveness'.", kReferenceHealth,
       Severity::kReference, health_liveness},
      {"health.readiness", "grpc.health.v1 says SERVING of 'readiness'.", kReferenceHealth,
       Severity::kReference, health_readiness},
  };
}

}  // namespace kvasir

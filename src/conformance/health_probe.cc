#include "conformance/health_probe.h"

namespace kvasir {
namespace {

struct Hearer final : GrpcClientCall::Observer {
  explicit Hearer(Subject& hearing) : subject(hearing) {}
  void on_message(std::string_view bytes) override { message = bytes; }
  void on_end(const GrpcStatus& ended) override {
    status = ended;
    over = true;
    subject.wake();
  }
  Subject& subject;
  std::string message;
  GrpcStatus status;
  bool over = false;
};

// HealthCheckResponse: field 1 is the status; a proto3 zero is left out.
std::string status_name(std::string_view message) {
  if (message.empty()) return "UNKNOWN";
  if (message.size() != 2 || message[0] != 8) return "an answer that is no HealthCheckResponse";
  switch (message[1]) {
    case 1:
      return "SERVING";
    case 2:
      return "NOT_SERVING";
    case 3:
      return "SERVICE_UNKNOWN";
    default:
      return "status " + std::to_string(message[1]);
  }
}

}  // namespace

std::string probe_health(Subject& subject, std::string_view service) {
  std::string request;
  if (!service.empty()) request.append({0x0a, static_cast<char>(service.size())}).append(service);
  Hearer hearer(subject);
  GrpcClientCall& call =
      subject.health_client().start("/grpc.health.v1.Health/Check", hearer, Duration::zero());
  call.send(request);
  call.half_close();
  if (!subject.run_until([&] { return hearer.over; })) {
    call.cancel();
    return "no answer in time";
  }
  if (hearer.status.ok()) return status_name(hearer.message);
  return "gRPC status " + std::to_string(hearer.status.code) + ": " + hearer.status.message;
}

}  // namespace kvasir

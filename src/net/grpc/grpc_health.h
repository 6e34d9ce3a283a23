// grpc.health.v1.Health: Check answers what a callback says, Watch is UNIMPLEMENTED.
#pragma once

#include <functional>
#include <string_view>
#include <vector>

#include "net/grpc/grpc_server.h"

namespace kvasir {

// grpc.health.v1.HealthCheckResponse.ServingStatus
enum class GrpcHealth : uint8_t { kServing = 1, kNotServing = 2, kServiceUnknown = 3 };

class GrpcHealthService final : public GrpcService {
 public:
  // `check` is given the service's name, "" for the whole server. kServiceUnknown is answered as
  // NOT_FOUND, as the protocol has it for Check. Must outlive the server it is a route of.
  using Check = std::function<GrpcHealth(std::string_view service)>;
  explicit GrpcHealthService(Check check) : check_(std::move(check)) {}

  std::vector<GrpcRoute> routes() { return {{"/grpc.health.v1.Health/Check", this}}; }
  void on_call(GrpcCall& call) override;

  // The service's name in a HealthCheckRequest; nothing when it is not one.
  static std::optional<std::string_view> read_request(std::string_view message);

 private:
  class CheckCall;
  const Check check_;
};

}  // namespace kvasir

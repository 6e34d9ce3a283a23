#include "net/grpc/grpc_health.h"

#include "base/assert.h"

namespace kvasir {
namespace {

// A varint of at most 32 bits.
std::optional<uint32_t> take_varint(std::string_view& bytes) {
  uint32_t value = 0;
  for (int shift = 0; shift < 35 && !bytes.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(bytes.front());
    bytes.remove_prefix(1);
    value |= static_cast<uint32_t>(byte & 0x7f) << shift;
    if (byte < 0x80) return value;
  }
  return std::nullopt;
}

}  // namespace

// The call deletes itself when it is over.
class GrpcHealthService::CheckCall final : public GrpcCall::Observer {
 public:
  CheckCall(const Check& check, GrpcCall& call) : check_(check), call_(call) {}

  void on_message(std::string_view message) override {
    const std::optional<std::string_view> service = read_request(message);
    if (!service) return end(GrpcCode::kInvalidArgument, "not a HealthCheckRequest");
    const GrpcHealth health = check_(*service);
    if (health == GrpcHealth::kServiceUnknown) return end(GrpcCode::kNotFound, "unknown service");
    const char answer[] = {1 << 3, static_cast<char>(health)};
    call_.send({answer, sizeof answer});
    end(GrpcCode::kOk, "");
  }
  void on_half_close() override { end(GrpcCode::kInternal, "no request message"); }
  void on_gone() override { delete this; }

 private:
  void end(GrpcCode code, std::string_view message) {
    call_.finish(code, message);
    delete this;
  }

  const Check& check_;
  GrpcCall& call_;
};

void GrpcHealthService::on_call(GrpcCall& call) { call.set_observer(*new CheckCall(check_, call)); }

// message HealthCheckRequest { string service = 1; }
std::optional<std::string_view> GrpcHealthService::read_request(std::string_view message) {
  std::string_view service;
  while (!message.empty()) {
    constexpr char kServiceTag = 1 << 3 | 2;
    if (message.front() != kServiceTag) return std::nullopt;
    message.remove_prefix(1);
    const std::optional<uint32_t> size = take_varint(message);
    if (!size || *size > message.size()) return std::nullopt;
    service = message.substr(0, *size);
    message.remove_prefix(*size);
  }
  return service;
}

}  // namespace kvasir

// Turns what the endpoint picker reports into metrics and log lines.
#pragma once

#include <string>

#include "epp/probe.h"
#include "telemetry/metrics.h"

namespace kvasir {

class EppMetrics final : public EppProbe {
 public:
  std::string page() const { return registry_.expose(); }

  void on_health_changed(const Endpoint& endpoint, bool healthy) override;
  void on_stream_started() override;
  void on_stream_ended(GrpcCode code, Duration took) override;
  void on_picked(const PickReport& report) override;
  void on_refused(const RefusalReport& report) override;
  void on_answer_processed(Duration took) override;
  void on_ended(const EndReport& report) override;
  void on_configuration_read(std::string_view error) override;
  void on_replica_found(uint64_t origin, size_t others) override;
  void on_replica_lost(uint64_t origin, size_t others) override;
  void on_replica_refused(std::string_view why) override;

 private:
  Registry registry_;
};

}  // namespace kvasir

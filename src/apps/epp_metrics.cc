#include "apps/epp_metrics.h"

#include "telemetry/log.h"

namespace kvasir {

void EppMetrics::on_health_changed(const Endpoint& endpoint, bool healthy) {
  if (healthy) {
    log_info("endpoint " + endpoint.name + " is healthy");
  } else {
    log_warning("endpoint " + endpoint.name + " is unhealthy: it is not picked");
  }
}

void EppMetrics::on_stream_started() {}
void EppMetrics::on_stream_ended(GrpcCode, Duration) {}
void EppMetrics::on_picked(const PickReport&) {}
void EppMetrics::on_refused(const RefusalReport&) {}
void EppMetrics::on_answer_processed(Duration) {}
void EppMetrics::on_ended(const EndReport&) {}

void EppMetrics::on_configuration_read(std::string_view error) {
  if (error.empty()) return log_info("the changed configuration is in use");
  log_error("the changed configuration is not used, the one before stays: " + std::string(error));
}

void EppMetrics::on_replica_found(uint64_t, size_t others) {
  log_info("sharing load and sessions with " + std::to_string(others) +
           " other replicas: one more");
}

void EppMetrics::on_replica_lost(uint64_t, size_t others) {
  log_warning("sharing load and sessions with " + std::to_string(others) +
              " other replicas: one fell silent, its load is forgotten");
}

void EppMetrics::on_replica_refused(std::string_view why) {
  log_warning("replicas: " + std::string(why));
}

}  // namespace kvasir

#include "serving/holding.h"

namespace kvasir {

AdmissionSettings Holding::settings(Duration held_most) {
  AdmissionSettings settings;
  settings.mode = AdmissionSettings::Mode::kFlowControl;
  FlowControlConfig& config = settings.flow.config;
  config.default_request_ttl = held_most;
  config.no_endpoint_request_ttl = Duration::zero();
  for (PriorityBandConfig* band : {&config.default_band, &config.default_negative_band}) {
    band->fairness_policy = "strict";
    band->ordering_policy = "smallest-work";
  }
  settings.flow.plugins.fairness = {{"strict", &fairness_}};
  settings.flow.plugins.ordering = {{"smallest-work", &ordering_}};
  return settings;
}

}  // namespace kvasir

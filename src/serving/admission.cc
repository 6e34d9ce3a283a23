#include "serving/admission.h"

#include <algorithm>
#include <utility>

namespace kvasir {

Admission::Admission(Scheduler& scheduler, const Clock& clock, AdmissionSettings settings,
                     FlowProbe* probe)
    : scheduler_(scheduler),
      clock_(clock),
      mode_(settings.mode),
      controller_(
          clock, flow_settings(std::move(settings)),
          [this] { return holding_saturation(); }, probe) {
  scheduler.set_release_listener([this] {
    if (!controller_.idle() && controller_.run()) wake();
  });
}

Admission::~Admission() {
  scheduler_.set_release_listener({});
}

FlowSettings Admission::flow_settings(AdmissionSettings settings) {
  if (settings.mode == AdmissionSettings::Mode::kFlowControl) return std::move(settings.flow);
  FlowSettings idle;
  idle.plugins.fairness = {{idle.config.default_band.fairness_policy, &fairness_}};
  idle.plugins.ordering = {{idle.config.default_band.ordering_policy, &ordering_}};
  return idle;
}

// Nobody is held for a configuration that holds nobody: who still waits by the one before goes.
PoolSaturation Admission::holding_saturation() {
  PoolSaturation saturation = scheduler_.saturation();
  if (mode_ == AdmissionSettings::Mode::kFlowControl) return saturation;
  PoolSaturation open;
  open.endpoints = saturation.endpoints;
  return open;
}

bool Admission::sheds(const Request& request) {
  return mode_ == AdmissionSettings::Mode::kShedding && request.priority < 0 &&
         scheduler_.saturation().effective() >= 1;
}

std::optional<FlowOutcome> Admission::admit(const std::shared_ptr<FlowItem>& item) {
  const std::optional<FlowOutcome> outcome = controller_.enqueue(item);
  if (!outcome) wake();
  return outcome;
}

bool Admission::cancel(FlowItem& item) {
  return controller_.cancel(item);
}

void Admission::ended(FlowItem& item, uint64_t prompt_tokens, uint64_t output_tokens) {
  controller_.ended(item, prompt_tokens, output_tokens);
}

void Admission::set_priorities(const std::vector<int32_t>& priorities) {
  controller_.set_priorities(priorities);
}

void Admission::drain() {
  controller_.drain();
}

void Admission::reconfigure(AdmissionSettings settings) {
  mode_ = settings.mode;
  controller_.reconfigure(flow_settings(std::move(settings)));
}

FlowStats Admission::stats() {
  FlowStats stats = controller_.stats();
  if (mode_ != AdmissionSettings::Mode::kFlowControl) stats.saturation = scheduler_.saturation();
  return stats;
}

std::optional<Duration> Admission::run() {
  wake_pending_ = false;
  if (controller_.idle()) return std::nullopt;
  const std::optional<TimePoint> next = controller_.run();
  if (!next) return std::nullopt;
  return std::max(*next - clock_.now(), Duration::zero());
}

// One is enough until run() was called.
void Admission::wake() {
  if (wake_ && !wake_pending_.exchange(true)) wake_();
}

}  // namespace kvasir

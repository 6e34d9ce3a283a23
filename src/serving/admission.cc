#include "serving/admission.h"

#include <algorithm>
#include <utility>

#include "serving/routed_request.h"

namespace kvasir {

AdmissionTicket::AdmissionTicket(RoutedRequest& routed, uint64_t bytes,
                                 std::function<void(const Verdict&)> later,
                                 std::function<void(FlowOutcome)> evict)
    : FlowItem(routed.request(), bytes),
      routed_(routed),
      later_(std::move(later)),
      evict_(std::move(evict)) {}

Refusal AdmissionTicket::dispatch() {
  const std::optional<Decision> decision = routed_.choose();
  if (!decision) return routed_.refusal();
  decision_ = *decision;
  return Refusal::kNone;
}

void AdmissionTicket::finished(FlowOutcome outcome) {
  later_(verdict(outcome));
}

void AdmissionTicket::evicted(FlowOutcome outcome) {
  if (evict_) evict_(outcome);
}

Verdict AdmissionTicket::verdict(FlowOutcome outcome) const {
  return Verdict{outcome, decision_, held_for()};
}

Admission::Admission(Scheduler& scheduler, const Clock& clock, AdmissionSettings settings,
                     FlowProbe* probe)
    : scheduler_(scheduler),
      clock_(clock),
      mode_(settings.mode),
      controller_(
          clock, flow_settings(std::move(settings)),
          [&scheduler] { return scheduler.saturation(); }, probe) {
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

std::optional<Verdict> Admission::admit(const std::shared_ptr<AdmissionTicket>& ticket) {
  const AdmissionSettings::Mode mode = mode_;
  if (mode == AdmissionSettings::Mode::kFlowControl) {
    const std::optional<FlowOutcome> outcome = controller_.enqueue(ticket);
    if (outcome) return ticket->verdict(*outcome);
    wake();
    return std::nullopt;
  }
  if (mode == AdmissionSettings::Mode::kShedding && ticket->request().priority < 0 &&
      scheduler_.saturation().effective() >= 1) {
    return ticket->verdict(FlowOutcome::kShed);
  }
  return ticket->verdict(outcome_of(ticket->dispatch()));
}

bool Admission::cancel(AdmissionTicket& ticket) {
  return controller_.cancel(ticket);
}

void Admission::ended(AdmissionTicket& ticket, uint64_t prompt_tokens, uint64_t output_tokens) {
  controller_.ended(ticket, prompt_tokens, output_tokens);
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
  return controller_.stats();
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

#include "scheduling/scheduler.h"

#include <algorithm>
#include <utility>

#include "base/assert.h"
#include "fleet/fleet.h"
#include "scheduling/picker.h"

namespace kvasir {
namespace {

void collect_candidates(const Snapshot& fleet, std::span<const EndpointId> tried,
                        std::vector<EndpointId>& candidates) {
  candidates.clear();
  for (uint32_t i = 0; i < fleet.endpoints.size(); ++i) {
    const EndpointId id{i};
    if (!fleet.endpoints[i].healthy) continue;
    if (std::find(tried.begin(), tried.end(), id) == tried.end()) candidates.push_back(id);
  }
}

}  // namespace

Scheduler::Scheduler(const Fleet& fleet, std::unique_ptr<Picker> picker, const Clock& clock)
    : fleet_(fleet),
      clock_(clock),
      prompt_bytes_per_block_(picker->prompt_bytes_per_block()),
      picker_(std::move(picker)) {
  candidates_.reserve(fleet.size());
}

Scheduler::~Scheduler() = default;

std::optional<Decision> Scheduler::schedule(const Request& request,
                                            std::span<const EndpointId> tried) {
  const std::shared_ptr<const Snapshot> fleet = fleet_.snapshot();
  std::lock_guard<std::mutex> lock(mutex_);
  collect_candidates(*fleet, tried, candidates_);
  if (candidates_.empty()) return std::nullopt;
  // The clock is read under the mutex, so the picker sees time in the order of its calls.
  const Decision decision = picker_->pick(
      PickContext{request, *fleet, std::span<const EndpointId>(candidates_), clock_.now()});
  KVASIR_ASSERT(std::binary_search(candidates_.begin(), candidates_.end(), decision.endpoint),
                "a picker names one of the candidates");
  return decision;
}

void Scheduler::first_token(RequestId request) {
  std::lock_guard<std::mutex> lock(mutex_);
  picker_->first_token(request, clock_.now());
}

void Scheduler::ended(RequestId request) {
  std::lock_guard<std::mutex> lock(mutex_);
  picker_->ended(request, clock_.now());
}

}  // namespace kvasir

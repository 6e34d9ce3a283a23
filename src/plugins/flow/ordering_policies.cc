#include "plugins/flow/ordering_policies.h"

#include <charconv>
#include <optional>

#include "base/parameters.h"
#include "base/text.h"
#include "flow/first_come_ordering.h"
#include "flow/smallest_work_ordering.h"
#include "model/plugin_place.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

class DeadlineOrdering final : public OrderingPolicy {
 public:
  Duration rank(const HeldRequest& held) override { return held.deadline.time_since_epoch(); }
};

constexpr double kLongestSloMs = 1e9;  // beyond it the header is not believed

std::optional<Duration> ttft_slo(const Request& request) {
  const std::string_view* header = request.header("x-llm-d-slo-ttft-ms");
  if (header == nullptr) header = request.header("x-slo-ttft-ms");
  if (header == nullptr) return std::nullopt;
  const std::string_view text = trimmed(*header);
  double milliseconds = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), milliseconds);
  if (parsed.ec != std::errc() || parsed.ptr != text.data() + text.size()) return std::nullopt;
  if (!(milliseconds >= 0 && milliseconds <= kLongestSloMs)) return std::nullopt;
  return from_seconds(milliseconds / 1000);
}

class SloDeadlineOrdering final : public OrderingPolicy {
 public:
  Duration rank(const HeldRequest& held) override {
    const std::optional<Duration> slo = ttft_slo(held.request);
    return slo ? held.received.time_since_epoch() + *slo : Duration::max();
  }
};

template <class Policy>
MadePlugin make_ordering_policy(std::string_view name, const Value& value, PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<Policy>();
}

}  // namespace

PluginType fcfs_ordering_policy_plugin() {
  return {"fcfs-ordering-policy", make_ordering_policy<FirstComeOrdering>};
}

PluginType edf_ordering_policy_plugin() {
  return {"edf-ordering-policy", make_ordering_policy<DeadlineOrdering>};
}

PluginType smallest_work_ordering_policy_plugin() {
  PluginType type{"smallest-work-ordering-policy", make_ordering_policy<SmallestWorkOrdering>,
                  Stability::kAlpha};
  type.places = kFlowControlPlace;
  return type;
}

PluginType slo_deadline_ordering_policy_plugin() {
  return {"slo-deadline-ordering-policy", make_ordering_policy<SloDeadlineOrdering>};
}

}  // namespace kvasir

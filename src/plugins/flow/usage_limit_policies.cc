#include "plugins/flow/usage_limit_policies.h"

#include <algorithm>
#include <cmath>

#include "base/parameters.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

class StaticUsageLimit final : public UsageLimitPolicy {
 public:
  explicit StaticUsageLimit(double threshold) : threshold_(threshold) {}
  double ceiling(int32_t, std::span<const int32_t>) const override { return threshold_; }

 private:
  const double threshold_;
};

class PriorityHoldback final : public UsageLimitPolicy {
 public:
  PriorityHoldback(double least, double most, bool by_rank)
      : least_(least), most_(most), by_rank_(by_rank) {}

  double ceiling(int32_t priority, std::span<const int32_t> priorities) const override {
    if (priorities.size() < 2) return most_;
    return most_ - (most_ - least_) *
                       (by_rank_ ? place(priority, priorities) : distance(priority, priorities));
  }

 private:
  // 0 for the highest, 1 for the lowest.
  static double place(int32_t priority, std::span<const int32_t> priorities) {
    const auto at = std::find(priorities.begin(), priorities.end(), priority) - priorities.begin();
    return static_cast<double>(at) / static_cast<double>(priorities.size() - 1);
  }
  static double distance(int32_t priority, std::span<const int32_t> priorities) {
    const double highest = priorities.front();
    return (highest - priority) / (highest - priorities.back());
  }

  const double least_;
  const double most_;
  const bool by_rank_;
};

class SoftReflectiveCeiling final : public UsageLimitPolicy {
 public:
  void next_chance(double saturation, std::span<const int32_t> priorities) override {
    saturation_ = saturation;
    // The lowest band is the first to be held back, at 1 - s.
    const bool anybody = priorities.size() > 1 && saturation >= 1 - saturation && saturation < 1;
    if (!anybody) return;
    constexpr double kRoundingRoom = 1e-9;
    const double share = std::round(saturation / (1 - saturation + kRoundingRoom));
    const auto period = static_cast<uint64_t>(std::max(1.0, share));
    open_ = ++chances_ % period == 0;
  }

  double ceiling(int32_t priority, std::span<const int32_t> priorities) const override {
    const auto at = std::find(priorities.begin(), priorities.end(), priority) - priorities.begin();
    if (at == 0) return 1;
    const double bands = static_cast<double>(priorities.size() - 1);
    if (saturation_ < 1 - static_cast<double>(at) * saturation_ / bands) return 1;
    return saturation_ < 1 && open_ ? 1 : 0;
  }

 private:
  double saturation_ = 0;
  uint64_t chances_ = 0;
  bool open_ = false;
};

MadePlugin make_soft(std::string_view name, const Value& value, PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<SoftReflectiveCeiling>();
}

MadePlugin make_static(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  const double threshold = parameters.number("threshold", 1);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<StaticUsageLimit>(threshold);
}

MadePlugin make_holdback(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  const double least = parameters.number("minCeiling", 0);
  const double most = parameters.number("maxCeiling", 1);
  const std::string domain = parameters.choice("domain", "rank", {"rank", "value"});
  parameters.choice("shape", "linear", {"linear"});
  if (!parameters.has("minCeiling")) parameters.fail("minCeiling", "is missing");
  if (least > most) parameters.fail("minCeiling", "must not exceed maxCeiling");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<PriorityHoldback>(least, most, domain == "rank");
}

}  // namespace

PluginType static_usage_limit_policy_plugin() {
  return {"static-usage-limit-policy", make_static};
}

PluginType priority_holdback_policy_plugin() {
  return {"priority-holdback-policy", make_holdback, Stability::kAlpha};
}

PluginType soft_reflective_ceiling_policy_plugin() {
  return {"soft-reflective-ceiling-policy", make_soft, Stability::kAlpha};
}

}  // namespace kvasir

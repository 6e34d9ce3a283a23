#include "plugins/usage_limit_policies.h"

#include <algorithm>

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

MadePlugin make_static(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  const double threshold = parameters.number("threshold", 1);
  if (const Result<void> read = parameters.finish(); !read) return read.error();
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
  if (const Result<void> read = parameters.finish(); !read) return read.error();
  return make_plugin<PriorityHoldback>(least, most, domain == "rank");
}

}  // namespace

PluginType static_usage_limit_policy_plugin() {
  return {"static-usage-limit-policy", make_static};
}

PluginType priority_holdback_policy_plugin() {
  return {"priority-holdback-policy", make_holdback, Stability::kAlpha};
}

}  // namespace kvasir

#include "plugins/program_aware_fairness.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/parameters.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

constexpr double kServiceWeight = .8;
constexpr double kWaitWeight = .2;
constexpr double kHalfLifeSeconds = 60;
constexpr double kOutputCost = 2;
constexpr double kForgottenTokens = 1;
constexpr size_t kTenantsMost =
    4096;  // beyond it those that are forgotten are looked for at each new one

class ProgramAwareFairness final : public FairnessPolicy {
 public:
  size_t next(int32_t, std::span<const FlowHead> flows, TimePoint now) override {
    double most_service = 0;
    double longest_wait = 0;
    for (const FlowHead& flow : flows) {
      most_service = std::max(most_service, service(flow.fairness_id, now));
      longest_wait = std::max(longest_wait, to_seconds(now - flow.received));
    }
    size_t best = 0;
    double best_score = -1;
    for (size_t i = 0; i < flows.size(); ++i) {
      const double got = most_service > 0 ? service(flows[i].fairness_id, now) / most_service : 0;
      const double waited =
          longest_wait > 0 ? to_seconds(now - flows[i].received) / longest_wait : 0;
      const double score = kServiceWeight * (1 - got) + kWaitWeight * waited;
      const bool earlier = score == best_score && flows[i].sequence < flows[best].sequence;
      if (score > best_score || earlier) {
        best = i;
        best_score = score;
      }
    }
    return best;
  }

  void served(std::string_view fairness_id, uint64_t prompt_tokens, uint64_t output_tokens,
              TimePoint now) override {
    const double cost =
        static_cast<double>(prompt_tokens) + kOutputCost * static_cast<double>(output_tokens);
    if (cost == 0) return;
    auto found = tenants_.find(fairness_id);
    if (found == tenants_.end()) {
      if (tenants_.size() >= kTenantsMost) forget(now);
      if (tenants_.size() >= kTenantsMost) return;
      found = tenants_.emplace(std::string(fairness_id), Service{}).first;
    }
    found->second = Service{decayed(found->second, now) + cost, now};
  }

 private:
  struct Service {
    double tokens = 0;
    TimePoint at{};
  };

  static double decayed(const Service& service, TimePoint now) {
    return service.tokens * std::exp2(-to_seconds(now - service.at) / kHalfLifeSeconds);
  }
  double service(std::string_view fairness_id, TimePoint now) const {
    const auto found = tenants_.find(fairness_id);
    return found == tenants_.end() ? 0 : decayed(found->second, now);
  }
  void forget(TimePoint now) {
    std::erase_if(tenants_, [now](const auto& tenant) {
      return decayed(tenant.second, now) < kForgottenTokens;
    });
  }

  std::map<std::string, Service, std::less<>> tenants_;
};

MadePlugin make(std::string_view name, const Value& value, PluginContext&) {
  if (const Result<void> read = Parameters(value, name).finish(); !read) return read.error();
  return make_plugin<ProgramAwareFairness>();
}

}  // namespace

PluginType program_aware_fairness_plugin() {
  return {"program-aware-fairness", make};
}

}  // namespace kvasir

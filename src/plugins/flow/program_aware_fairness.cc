#include "plugins/flow/program_aware_fairness.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "base/parameters.h"
#include "scheduling/flow_plugins.h"

namespace kvasir {
namespace {

constexpr double kOutputCost = 2;
constexpr double kForgottenTokens = 1;
constexpr size_t kTenantsMost =
    4096;  // beyond it those that are forgotten are looked for at each new one

struct ProgramAwareFairnessSettings {
  double service_weight = .8;
  double wait_weight = .2;
  double half_life_s = 60;  // 0: service does not decay
  double ttl_s = 3600;      // 0: nobody is forgotten for being idle
};

class ProgramAwareFairness final : public FairnessPolicy {
 public:
  explicit ProgramAwareFairness(const ProgramAwareFairnessSettings& settings)
      : settings_(settings) {}

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
      const double score = settings_.service_weight * (1 - got) + settings_.wait_weight * waited;
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
    Service* service = tenant(fairness_id, now);
    if (service == nullptr) return;
    service->tokens = decayed(*service, now) + cost;
    service->at = now;
  }

  void dispatched(std::string_view fairness_id, Duration waited, TimePoint now) override {
    Service* service = tenant(fairness_id, now);
    if (service == nullptr) return;
    service->waited += waited;
    ++service->dispatched;
  }

  std::optional<std::vector<TenantService>> tenants(TimePoint now) const override {
    std::vector<TenantService> all;
    for (const auto& [fairness_id, service] : tenants_) {
      Duration mean{};
      if (service.dispatched > 0) {
        mean = service.waited / static_cast<Duration::rep>(service.dispatched);
      }
      all.push_back({fairness_id, decayed(service, now), service.dispatched, mean});
    }
    return all;
  }

 private:
  struct Service {
    double tokens = 0;
    TimePoint at{};
    Duration waited{};
    uint64_t dispatched = 0;
  };

  // Null: there are too many.
  Service* tenant(std::string_view fairness_id, TimePoint now) {
    const auto found = tenants_.find(fairness_id);
    if (found != tenants_.end()) return &found->second;
    if (tenants_.size() >= kTenantsMost) forget(now);
    if (tenants_.size() >= kTenantsMost) return nullptr;
    Service& service = tenants_[std::string(fairness_id)];
    service.at = now;
    return &service;
  }

  double decayed(const Service& service, TimePoint now) const {
    const double idle = to_seconds(now - service.at);
    if (settings_.ttl_s > 0 && idle > settings_.ttl_s) return 0;
    if (settings_.half_life_s == 0) return service.tokens;
    return service.tokens * std::exp2(-idle / settings_.half_life_s);
  }
  double service(std::string_view fairness_id, TimePoint now) const {
    const auto found = tenants_.find(fairness_id);
    return found == tenants_.end() ? 0 : decayed(found->second, now);
  }
  void forget(TimePoint now) {
    std::erase_if(tenants_, [this, now](const auto& tenant) {
      return decayed(tenant.second, now) < kForgottenTokens;
    });
  }

  const ProgramAwareFairnessSettings settings_;
  std::map<std::string, Service, std::less<>> tenants_;
};

MadePlugin make_program_aware_fairness(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  ProgramAwareFairnessSettings settings;
  parameters.choice("strategy", "las", {"las"});
  settings.service_weight = parameters.number("lasWeightService", settings.service_weight);
  settings.wait_weight = parameters.number("lasWeightHeadWait", settings.wait_weight);
  settings.half_life_s = parameters.number("lasHalfLifeSeconds", settings.half_life_s, 0, 1e9);
  settings.ttl_s = parameters.number("evictionTtlSeconds", settings.ttl_s, 0, 1e9);
  parameters.number("evictionSweepSeconds", 300, 1e-9, 1e9);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<ProgramAwareFairness>(settings);
}

}  // namespace

PluginType program_aware_fairness_plugin() {
  return {"program-aware-fairness", make_program_aware_fairness};
}

}  // namespace kvasir

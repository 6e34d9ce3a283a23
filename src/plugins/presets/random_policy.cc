#include "plugins/presets/random_policy.h"

#include "base/random.h"

namespace kvasir {
namespace {

class RandomPolicy final : public Policy {
 public:
  explicit RandomPolicy(uint64_t seed) : random_(seed) {}

  std::optional<Decision> pick(const PickContext& context) override {
    Decision decision;
    decision.endpoint = context.candidates[random_.below(context.candidates.size())];
    return decision;
  }

  void first_token(RequestId, TimePoint) override {}
  void ended(RequestId, TimePoint) override {}

 private:
  Random random_;
};

}  // namespace

std::unique_ptr<Policy> make_random_policy(uint64_t seed) {
  return std::make_unique<RandomPolicy>(seed);
}

}  // namespace kvasir

#include "plugins/random_picker.h"

#include "base/random.h"

namespace kvasir {
namespace {

class RandomPicker final : public Picker {
 public:
  explicit RandomPicker(uint64_t seed) : random_(seed) {}

  Decision pick(const PickContext& context) override {
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

std::unique_ptr<Picker> make_random_picker(uint64_t seed) {
  return std::make_unique<RandomPicker>(seed);
}

}  // namespace kvasir

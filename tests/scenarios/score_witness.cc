#include "score_witness.h"

#include <memory>

namespace kvasir {
namespace {

class WitnessedPicker final : public Picker {
 public:
  WitnessedPicker(std::unique_ptr<Plugin> plugin, Picker& picker, ScoreWitness& witness)
      : plugin_(std::move(plugin)), picker_(picker), witness_(witness) {}

  void connect(PluginContext& context) override { plugin_->connect(context); }
  void picked(const Cycle& cycle, std::span<const ProfileResult> profiles) override {
    plugin_->picked(cycle, profiles);
  }
  void first_token(RequestId request, TimePoint now) override {
    plugin_->first_token(request, now);
  }
  void ended(RequestId request, TimePoint now) override { plugin_->ended(request, now); }
  size_t pick(const Cycle& cycle, std::span<ScoredEndpoint> scored) override {
    witness_.saw(scored);
    return picker_.pick(cycle, scored);
  }

 private:
  const std::unique_ptr<Plugin> plugin_;
  Picker& picker_;
  ScoreWitness& witness_;
};

}  // namespace

Registry witnessed(const Registry& registry, ScoreWitness& witness) {
  Registry result;
  for (const std::string_view name : registry.names()) {
    PluginType type = *registry.find(name);
    const PluginType::Make make = type.make;
    type.make = [make, &witness](std::string_view plugin, const Value& parameters,
                                 PluginContext& context) -> MadePlugin {
      MadePlugin made = make(plugin, parameters, context);
      if (!made) return made;
      auto* picker = dynamic_cast<Picker*>(made->get());
      if (picker == nullptr) return made;
      return make_plugin<WitnessedPicker>(std::move(*made), *picker, witness);
    };
    result.add(std::move(type));
  }
  return result;
}

}  // namespace kvasir

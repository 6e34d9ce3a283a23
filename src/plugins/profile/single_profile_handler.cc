#include "plugins/profile/single_profile_handler.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

class SingleProfileHandler final : public ProfileHandler {
 public:
  int next(const Cycle&, std::span<const ProfileResult> done) const override {
    return done.empty() ? 0 : -1;
  }
  int primary(const Cycle&, std::span<const ProfileResult> done) const override {
    return done.empty() ? -1 : 0;
  }
};

MadePlugin make_single(std::string_view name, PluginContext& context) {
  if (context.profiles() > 1) {
    return Error{std::string(name) + ": there are " + std::to_string(context.profiles()) +
                 " profiles; it runs one"};
  }
  return make_plugin<SingleProfileHandler>();
}

MadePlugin make_single_profile_handler(std::string_view name, const Value& value,
                                       PluginContext& context) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_single(name, context);
}

MadePlugin make_data_parallel(std::string_view name, const Value& value, PluginContext& context) {
  Parameters parameters(value, name);
  parameters.integer("primaryPort", 8000, 0, 65'535);
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_single(name, context);
}

}  // namespace

PluginType single_profile_handler_plugin() {
  return {"single-profile-handler", make_single_profile_handler};
}

PluginType data_parallel_profile_handler_plugin() {
  return {"data-parallel-profile-handler", make_data_parallel, Stability::kDeprecated,
          "single-profile-handler"};
}

}  // namespace kvasir

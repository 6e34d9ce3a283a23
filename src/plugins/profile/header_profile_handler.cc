#include "plugins/profile/header_profile_handler.h"

#include "base/parameters.h"
#include "base/text.h"

namespace kvasir {
namespace {

class HeaderProfileHandler final : public ProfileHandler {
 public:
  HeaderProfileHandler(std::string header, std::string fallback, const PluginContext& context)
      : header_(std::move(header)), fallback_(std::move(fallback)) {
    for (size_t i = 0; i < context.profiles(); ++i) profiles_.push_back(context.profile_name(i));
  }

  int next(const Cycle& cycle, std::span<const ProfileResult> done) const override {
    if (!done.empty()) return -1;
    if (profiles_.size() == 1) return 0;
    const std::string_view* header = cycle.request.header(header_);
    const std::string_view named = header != nullptr ? trimmed(*header) : std::string_view();
    const std::string_view wanted = named.empty() ? fallback_ : named;
    for (size_t i = 0; i < profiles_.size(); ++i) {
      if (profiles_[i] == wanted) return static_cast<int>(i);
    }
    return -1;
  }
  int primary(const Cycle&, std::span<const ProfileResult> done) const override {
    return done.empty() ? -1 : 0;
  }

 private:
  const std::string header_;
  const std::string fallback_;
  std::vector<std::string> profiles_;
};

MadePlugin make_header_profile_handler(std::string_view name, const Value& value,
                                       PluginContext& context) {
  Parameters parameters(value, name);
  const std::string header = lower_case(parameters.text("headerName", "epp-profile"));
  const std::string fallback = parameters.text("defaultProfile", "decode");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<HeaderProfileHandler>(header, fallback, context);
}

}  // namespace

PluginType header_profile_handler_plugin() {
  return {"header-profile-handler", make_header_profile_handler, Stability::kAlpha};
}

}  // namespace kvasir

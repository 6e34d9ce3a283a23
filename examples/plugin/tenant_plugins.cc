// tenant-filter and prompt-length-profile-handler: a filter and a profile handler from outside
// Kvasir's tree, in one library.
//
// Filter: keeps the endpoints whose label equals what the request's header says; a request without
//   the header keeps all. Parameters: header (x-tenant), label (tenant).
// Handler: runs one profile, `long` for prompts of at least `tokens`, else `short`.
//   Parameters: tokens (2000), short (short), long (long): names of profiles.
//
//   - {type: tenant-filter}
//   - {type: prompt-length-profile-handler, parameters: {tokens: 4000}}
#include <string>

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "scheduling/plugin_library.h"

namespace {

class TenantFilter final : public kvasir::Filter {
 public:
  TenantFilter(std::string header, std::string label)
      : header_(std::move(header)), label_(std::move(label)) {}

  void filter(const kvasir::Cycle& cycle,
              std::vector<kvasir::EndpointId>& candidates) const override {
    const std::string_view* tenant = cycle.request.header(header_);
    if (tenant == nullptr) return;
    std::erase_if(candidates, [&](kvasir::EndpointId id) {
      const auto& endpoint = *cycle.fleet.endpoints[kvasir::index_of(id)].endpoint;
      const std::string* label = endpoint.label(label_);
      return label == nullptr || *label != *tenant;
    });
  }
  std::string why_nobody(const kvasir::Cycle&) const override {
    return "no endpoint has the label " + label_ + " of that tenant";
  }

 private:
  const std::string header_;
  const std::string label_;
};

kvasir::MadePlugin make_filter(std::string_view name, const kvasir::Value& value,
                               kvasir::PluginContext&) {
  kvasir::Parameters parameters(value, name);
  const std::string header = parameters.text("header", "x-tenant");  // lower case, as they arrive
  const std::string label = parameters.text("label", "tenant");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return kvasir::make_plugin<TenantFilter>(header, label);
}

class PromptLengthHandler final : public kvasir::ProfileHandler {
 public:
  PromptLengthHandler(int64_t tokens, int short_profile, int long_profile)
      : tokens_(tokens), short_(short_profile), long_(long_profile) {}

  int next(const kvasir::Cycle& cycle, std::span<const kvasir::ProfileResult> done) const override {
    if (!done.empty()) return -1;
    return cycle.request.prompt_tokens >= tokens_ ? long_ : short_;
  }
  int primary(const kvasir::Cycle&, std::span<const kvasir::ProfileResult> done) const override {
    return done.empty() ? -1 : 0;
  }

 private:
  const int64_t tokens_;
  const int short_;
  const int long_;
};

kvasir::MadePlugin make_handler(std::string_view name, const kvasir::Value& value,
                                kvasir::PluginContext& context) {
  kvasir::Parameters parameters(value, name);
  const int64_t tokens = parameters.integer("tokens", 2000);
  const auto profile = [&](const char* key) {
    const std::string named = parameters.text(key, key);
    const int index = context.profile_index(named);
    if (index < 0) parameters.fail(key, "names no profile: '" + named + "'");
    return index;
  };
  const int short_profile = profile("short"), long_profile = profile("long");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return kvasir::make_plugin<PromptLengthHandler>(tokens, short_profile, long_profile);
}

void add_types(kvasir::PluginEntry& entry) {
  kvasir::PluginType filter{"tenant-filter", make_filter};
  filter.places = kvasir::kFilterPlace;
  entry.add(std::move(filter));
  kvasir::PluginType handler{"prompt-length-profile-handler", make_handler};
  handler.places = kvasir::kProfileHandlerPlace;
  entry.add(std::move(handler));
}

}  // namespace

KVASIR_PLUGIN_LIBRARY(add_types)

#include "plugins/profile/stage_deciders.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

class AlwaysDecider final : public StageDecider {
 public:
  bool separate(const Cycle&, std::optional<EndpointId>) const override { return true; }
};

class PrefixBasedDecider final : public StageDecider {
 public:
  PrefixBasedDecider(uint32_t non_cached, uint32_t prompt, const PrefixMatches& matches)
      : non_cached_(non_cached), prompt_(prompt), matches_(matches) {}

  bool separate(const Cycle& cycle, std::optional<EndpointId> decode) const override {
    const uint32_t tokens = cycle.request.prompt_tokens;
    if (non_cached_ == 0 || !decode || tokens < non_cached_ || tokens < prompt_) return false;
    return tokens - matches_.match().cached_tokens(cycle.request, *decode) >= non_cached_;
  }

 private:
  const uint32_t non_cached_;
  const uint32_t prompt_;
  const PrefixMatches& matches_;
};

MadePlugin make_always(std::string_view name, const Value& value, PluginContext&) {
  if (const auto problems = Parameters(value, name).problems(); !problems.empty()) return problems;
  return make_plugin<AlwaysDecider>();
}

MadePlugin make_prefix_based(std::string_view name, const Value& value, PluginContext& context) {
  Parameters parameters(value, name);
  const int64_t non_cached = parameters.integer("nonCachedTokens", 0, 0, UINT32_MAX);
  const int64_t prompt = parameters.integer("promptTokens", 0, 0, UINT32_MAX);
  const std::string producer = parameters.text("prefixMatchInfoProducerName", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  const Result<PrefixMatches*> matches = context.find<PrefixMatches>(producer);
  if (!matches) return matches.error();
  if (non_cached == 0) {
    context.note("no prompt is prefilled apart: nonCachedTokens is 0, as without parameters");
  }
  return make_plugin<PrefixBasedDecider>(static_cast<uint32_t>(non_cached),
                                         static_cast<uint32_t>(prompt), **matches);
}

}  // namespace

PluginType always_disagg_pd_decider_plugin() {
  return {"always-disagg-pd-decider", make_always};
}

PluginType always_disagg_multimodal_decider_plugin() {
  PluginType type{"always-disagg-multimodal-decider", make_always};
  type.note =
      "has no effect here: the images of a request are not read yet, so the encode stage never runs";
  return type;
}

PluginType prefix_based_pd_decider_plugin() {
  return {"prefix-based-pd-decider", make_prefix_based};
}

}  // namespace kvasir

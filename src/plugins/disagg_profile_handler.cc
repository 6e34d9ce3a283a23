#include "plugins/disagg_profile_handler.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

struct Stages {
  int decode = -1;   // places of the profiles
  int prefill = -1;  // -1: there is none
  bool prefill_first = false;
  const StageDecider* decider = nullptr;  // whether to prefill apart; null: never
};

class DisaggProfileHandler final : public ProfileHandler {
 public:
  explicit DisaggProfileHandler(Stages stages) : stages_(stages) {}

  int next(const Cycle& cycle, std::span<const ProfileResult> done) const override {
    if (done.empty()) return prefills_first() ? stages_.prefill : stages_.decode;
    if (done.size() > 1 || done[0].chosen.empty()) return -1;
    if (prefills_first()) return stages_.decode;
    const bool apart = stages_.prefill >= 0 && stages_.decider != nullptr &&
                       stages_.decider->separate(cycle, done[0].chosen[0].endpoint);
    return apart ? stages_.prefill : -1;
  }

  int primary(const Cycle&, std::span<const ProfileResult> done) const override {
    for (const ProfileResult& result : done) {
      if (result.chosen.empty()) return -1;
    }
    return place_of(stages_.decode, done);
  }
  int prefill(const Cycle&, std::span<const ProfileResult> done) const override {
    return place_of(stages_.prefill, done);
  }

 private:
  bool prefills_first() const { return stages_.prefill_first && stages_.prefill >= 0; }

  static int place_of(int profile, std::span<const ProfileResult> done) {
    for (size_t i = 0; i < done.size(); ++i) {
      if (done[i].profile == profile) return static_cast<int>(i);
    }
    return -1;
  }

  const Stages stages_;
};

struct Names {
  std::string decode = "decode";
  std::string prefill = "prefill";
  std::string decider;
};

MadePlugin make_handler(std::string_view name, const Names& names, bool prefill_first,
                        PluginContext& context) {
  Stages stages;
  stages.prefill_first = prefill_first;
  stages.decode = context.profile_index(names.decode);
  stages.prefill = context.profile_index(names.prefill);
  if (stages.decode < 0) {
    return Error{std::string(name) + ": there is no profile '" + names.decode + "' to decode with"};
  }
  const Result<StageDecider*> decider = context.stage_decider(names.decider);
  if (!decider) return Error{std::string(name) + ": " + decider.error().message};
  stages.decider = *decider;
  return make_plugin<DisaggProfileHandler>(stages);
}

MadePlugin make_disagg(std::string_view name, const Value& value, PluginContext& context) {
  const Value none;
  Parameters parameters(value, name);
  Names names;
  const bool prefill_first =
      parameters.choice("stageOrder", "decode-first", {"decode-first", "prefill-first"}) ==
      "prefill-first";
  names.decode = parameters.text("decodeProfile", names.decode);
  names.prefill = parameters.text("prefillProfile", names.prefill);
  names.decider = parameters.text("deciderPluginName", "");
  parameters.ignore("encodeProfile");
  const Value* profiles = parameters.any("profiles");
  const Value* deciders = parameters.any("deciders");
  if (const Result<void> read = parameters.finish(); !read) return read.error();

  Parameters stages(profiles != nullptr ? *profiles : none, name);
  names.decode = stages.text("decode", names.decode);
  names.prefill = stages.text("prefill", names.prefill);
  stages.ignore("encode");
  if (const Result<void> read = stages.finish(); !read) return read.error();
  Parameters chosen(deciders != nullptr ? *deciders : none, name);
  names.decider = chosen.text("prefill", names.decider);
  const std::string encode_decider = chosen.text("encode", "");
  if (prefill_first && !names.decider.empty()) {
    chosen.fail("prefill", "has no say when stageOrder is prefill-first");
  }
  if (const Result<void> read = chosen.finish(); !read) return read.error();
  if (const auto decider = context.stage_decider(encode_decider); !decider) {
    return Error{std::string(name) + ": " + decider.error().message};
  }
  return make_handler(name, names, prefill_first, context);
}

MadePlugin make_pd(std::string_view name, const Value& value, PluginContext& context) {
  Parameters parameters(value, name);
  Names names;
  names.decode = parameters.text("decodeProfile", names.decode);
  names.prefill = parameters.text("prefillProfile", names.prefill);
  names.decider = parameters.text("deciderPluginName", "");
  for (const char* unused :
       {"prefixPluginType", "prefixPluginName", "prefixMatchInfoProducerName", "primaryPort"}) {
    parameters.ignore(unused);
  }
  if (const Result<void> read = parameters.finish(); !read) return read.error();
  if (names.decider.empty() && context.stage_decider("prefix-based-pd-decider")) {
    names.decider = "prefix-based-pd-decider";
  }
  return make_handler(name, names, false, context);
}

class HeaderWriter final : public Plugin {};

MadePlugin make_header_writer(std::string_view, const Value&, PluginContext&) {
  return make_plugin<HeaderWriter>();
}

}  // namespace

PluginType disagg_profile_handler_plugin() {
  return {"disagg-profile-handler", make_disagg};
}

PluginType pd_profile_handler_plugin() {
  return {"pd-profile-handler", make_pd, Stability::kDeprecated, "disagg-profile-handler"};
}

PluginType disagg_headers_handler_plugin() {
  return {"disagg-headers-handler", make_header_writer, Stability::kDeprecated,
          "disagg-profile-handler"};
}

PluginType prefill_header_handler_plugin() {
  return {"prefill-header-handler", make_header_writer, Stability::kDeprecated,
          "disagg-profile-handler"};
}

}  // namespace kvasir

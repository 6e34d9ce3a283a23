#include "plugins/profile/disagg_profile_handler.h"

#include <algorithm>

#include "base/parameters.h"

namespace kvasir {
namespace {

struct Stages {
  int decode = -1;   // places of the profiles
  int prefill = -1;  // -1: there is none
  bool prefill_first = false;
  const StageDecider* decider = nullptr;  // whether to prefill apart; null: never
};

class DisaggProfileHandler : public ProfileHandler {
 public:
  explicit DisaggProfileHandler(Stages stages) : stages_(stages) {}

  int next(const Cycle& cycle, std::span<const ProfileResult> done) const override {
    const RequestPart part = cycle.request.part;
    if (part != RequestPart::kWhole) {
      if (!done.empty()) return -1;
      return part == RequestPart::kPrompt ? stages_.prefill : stages_.decode;
    }
    if (done.empty()) return prefills_first() ? stages_.prefill : stages_.decode;
    if (done.size() > 1 || done[0].chosen.empty()) return -1;
    if (prefills_first()) return stages_.decode;
    const bool apart = stages_.prefill >= 0 && stages_.decider != nullptr &&
                       stages_.decider->separate(cycle, done[0].chosen[0].endpoint);
    return apart ? stages_.prefill : -1;
  }

  int primary(const Cycle& cycle, std::span<const ProfileResult> done) const override {
    for (const ProfileResult& result : done) {
      if (result.chosen.empty()) return -1;
    }
    const bool prompt_alone = cycle.request.part == RequestPart::kPrompt;
    return place_of(prompt_alone ? stages_.prefill : stages_.decode, done);
  }
  int prefill(const Cycle& cycle, std::span<const ProfileResult> done) const override {
    if (cycle.request.part == RequestPart::kPrompt) return -1;
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
  std::string encode_decider;
};

// The threshold that pd-profile-handler had before there were deciders.
class ByteThreshold final : public StageDecider {
 public:
  ByteThreshold(uint64_t bytes, const PrefixMatches& matches) : bytes_(bytes), matches_(matches) {}

  bool separate(const Cycle& cycle, std::optional<EndpointId> decode) const override {
    if (bytes_ == 0) return true;
    if (!decode) return false;
    const uint64_t prompt = cycle.request.prompt_bytes;
    const uint64_t cached =
        uint64_t{matches_.match().blocks[index_of(*decode)]} * matches_.match().block.units;
    return prompt - std::min(prompt, cached) >= bytes_;
  }

 private:
  const uint64_t bytes_;
  const PrefixMatches& matches_;
};

// A pd-profile-handler with a threshold is its own decider.
class PdProfileHandler final : public DisaggProfileHandler {
 public:
  PdProfileHandler(Stages stages, uint64_t bytes, const PrefixMatches& matches)
      : DisaggProfileHandler(with(stages, threshold_)), threshold_(bytes, matches) {}

 private:
  static Stages with(Stages stages, const StageDecider& decider) {
    stages.decider = &decider;
    return stages;
  }

  const ByteThreshold threshold_;
};

Result<Stages> find_stages(std::string_view name, const Names& names, bool prefill_first,
                           PluginContext& context) {
  Stages stages;
  stages.prefill_first = prefill_first;
  stages.decode = context.profile_index(names.decode);
  stages.prefill = context.profile_index(names.prefill);
  // A file without schedulingProfiles has one profile, with every filter and scorer.
  if (stages.decode < 0 && context.profiles() == 1) stages.decode = 0;
  if (stages.decode < 0) {
    return Error{std::string(name) + ": there is no profile '" + names.decode + "' to decode with"};
  }
  if (!names.decider.empty()) {
    const Result<StageDecider*> decider = context.find<StageDecider>(names.decider);
    if (!decider) return decider.error();
    stages.decider = *decider;
  }
  return stages;
}

MadePlugin make_handler(std::string_view name, const Names& names, bool prefill_first,
                        PluginContext& context) {
  const Result<Stages> stages = find_stages(name, names, prefill_first, context);
  if (!stages) return stages.error();
  return make_plugin<DisaggProfileHandler>(*stages);
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
  names.decider = parameters.text("prefillDeciderPluginName", names.decider);
  names.encode_decider = parameters.text("encodeDeciderPluginName", "");
  parameters.ignore("encodeProfile");
  const Value* profiles = parameters.any("profiles");
  const Value* deciders = parameters.any("deciders");
  std::vector<Remark> problems = parameters.problems();

  Parameters stages(profiles != nullptr ? *profiles : none, name);
  names.decode = stages.text("decode", names.decode);
  names.prefill = stages.text("prefill", names.prefill);
  stages.ignore("encode");
  append(problems, stages.problems());
  Parameters chosen(deciders != nullptr ? *deciders : none, name);
  names.decider = chosen.text("prefill", names.decider);
  names.encode_decider = chosen.text("encode", names.encode_decider);
  if (prefill_first && !names.decider.empty()) {
    chosen.fail("prefill", "has no say when stageOrder is prefill-first");
  }
  append(problems, chosen.problems());
  if (!problems.empty()) return problems;
  if (!names.encode_decider.empty()) {
    const Result<StageDecider*> decider = context.find<StageDecider>(names.encode_decider);
    if (!decider) return decider.error();
  }
  return make_handler(name, names, prefill_first, context);
}

MadePlugin make_pd(std::string_view name, const Value& value, PluginContext& context) {
  Parameters parameters(value, name);
  Names names;
  names.decode = parameters.text("decodeProfile", names.decode);
  names.prefill = parameters.text("prefillProfile", names.prefill);
  names.decider = parameters.text("deciderPluginName", "");
  const int64_t threshold = parameters.integer("threshold", 0, 0);
  if (parameters.has("threshold") && !names.decider.empty()) {
    parameters.fail("threshold", "and deciderPluginName exclude each other");
  }
  for (const char* unused : {"prefixPluginType", "prefixPluginName", "prefixMatchInfoProducerName",
                             "hashBlockSize", "primaryPort"}) {
    parameters.ignore(unused);
  }
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  if (parameters.has("threshold")) {
    const Result<Stages> stages = find_stages(name, names, false, context);
    if (!stages) return stages.error();
    const Result<PrefixMatches*> matches = context.find<PrefixMatches>("");
    if (!matches) return matches.error();
    return make_plugin<PdProfileHandler>(*stages, static_cast<uint64_t>(threshold), **matches);
  }
  if (names.decider.empty() && context.find<StageDecider>("prefix-based-pd-decider")) {
    names.decider = "prefix-based-pd-decider";
  }
  return make_handler(name, names, false, context);
}

class HeaderWriter final : public Plugin {};

MadePlugin make_header_writer(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  parameters.text("prefillProfile", "");
  parameters.text("encodeProfile", "");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<HeaderWriter>();
}

PluginType header_writer(const char* name) {
  PluginType type{name, make_header_writer, Stability::kDeprecated, "disagg-profile-handler"};
  type.note = "has no effect here: the picker itself writes the prefill endpoint's header";
  return type;
}

}  // namespace

PluginType disagg_profile_handler_plugin() {
  return {"disagg-profile-handler", make_disagg};
}

PluginType pd_profile_handler_plugin() {
  return {"pd-profile-handler", make_pd, Stability::kDeprecated, "disagg-profile-handler"};
}

PluginType disagg_headers_handler_plugin() {
  return header_writer("disagg-headers-handler");
}

PluginType prefill_header_handler_plugin() {
  return header_writer("prefill-header-handler");
}

}  // namespace kvasir

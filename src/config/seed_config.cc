#include "config/seed_config.h"

#include <algorithm>

#include "base/nearest_name.h"
#include "base/parameters.h"
#include "config/seed_entries.h"
#include "config/seed_plugins.h"
#include "config/seed_scrapers.h"

namespace kvasir {
namespace {

// The seed's threshold, unless the file says another: prompts with less than this to prefill are
// not worth a second endpoint.
constexpr int64_t kSeedNewTokensLeast = 10;
constexpr std::string_view kDecode = "DecodeFilter";
constexpr std::string_view kPrefill = "PrefillFilter";

class SeedTranslator {
 public:
  SeedTranslator(std::span<const PluginTypeFacts> types, ConfigReading& reading)
      : types_(types), reading_(reading), config_(reading.config) {}

  void translate(const std::vector<SeedProfile>& profiles) {
    for (const SeedProfile& profile : profiles) {
      if (profile.pair) {
        add_pair(profile, profiles.size());
      } else {
        add_profile(profile, profile.name, "");
      }
      add_scrapers(profile);
    }
    if (profiles.size() > 1) add_header_handler(profiles);
  }

 private:
  void note(int line, std::string text) { reading_.notes.push_back(Remark{line, std::move(text)}); }

  void error(int line, std::string text) {
    reading_.errors.push_back(Remark{line, std::move(text)});
  }

  // `without`: a filter to leave out.
  void add_profile(const SeedProfile& seed, const std::string& name, std::string_view without) {
    SchedulingProfileConfig profile{name, {}, seed.line};
    for (const SeedEntry& entry : seed.filters) {
      if (entry.name != without) use(entry, kFilterPlace, "a filter", profile);
    }
    for (const SeedEntry& entry : seed.scorers) {
      const bool decode_only = without == kDecode && entry.name == "SessionAffinity";
      if (!decode_only) use(entry, kScorerPlace, "a scorer", profile);
    }
    config_.profiles.push_back(std::move(profile));
  }

  void add_pair(const SeedProfile& seed, size_t profiles) {
    if (profiles > 1) {
      return error(seed.line, "profiles: '" + seed.name +
                                  "' enables DecodeFilter and PrefillFilter; that is possible only "
                                  "in a file's one profile");
    }
    Parameters args(seed.pair->args, seed.pair->name);
    const int64_t threshold = args.integer("threshold", kSeedNewTokensLeast, 1, UINT32_MAX);
    append(reading_.errors, args.problems());
    note(seed.line, "profile '" + seed.name +
                        "' enables DecodeFilter and PrefillFilter: read literally, no endpoint "
                        "with one role would "
                        "pass both. Understood as a disaggregated pair: a profile 'decode' and a "
                        "profile 'prefill' with "
                        "the same scorers (SessionAffinity in 'decode' only), run by "
                        "disagg-profile-handler; a request "
                        "gets a prefill endpoint when at least " +
                        std::to_string(threshold) + " of its tokens are not cached (" +
                        seed.pair->name + "'s threshold)");
    add_profile(seed, "decode", kPrefill);
    add_profile(seed, "prefill", kDecode);
    const std::string decider = "prefix-based-pd-decider";
    add(decider, Value(Value::Map{{"nonCachedTokens", Value(threshold)}}), seed.line);
    const auto text = [](std::string words) { return Value(std::move(words)); };
    add("disagg-profile-handler",
        Value(Value::Map{{"profiles", Value(Value::Map{{"decode", text("decode")},
                                                       {"prefill", text("prefill")}})},
                         {"deciders", Value(Value::Map{{"prefill", text(decider)}})}}),
        seed.line);
  }

  void add_header_handler(const std::vector<SeedProfile>& profiles) {
    add("header-profile-handler", Value(Value::Map{{"defaultProfile", Value(profiles[0].name)}}),
        profiles[0].line);
    note(profiles[1].line,
         "several profiles: the request header EPP-Profile chooses one, otherwise '" +
             profiles[0].name + "' runs (header-profile-handler)");
  }

  void add(const std::string& type, Value parameters, int line) {
    config_.plugins.push_back(PluginConfig{type, type, std::move(parameters), line, true});
  }

  void use(const SeedEntry& entry, uint32_t place, const char* what,
           SchedulingProfileConfig& profile) {
    if (entry.name.empty()) return;
    const std::string name = plugin_of(entry);
    const PluginConfig* plugin = config_.find_plugin(name);
    if (plugin == nullptr) return;
    const PluginTypeFacts* type = find_plugin_type(types_, plugin->type);
    if (type != nullptr && (type->places & place) == 0) {
      error(entry.line, profile.name + ": '" + entry.name + "' is not " + what);
    }
    const bool weighs = place == kScorerPlace;
    profile.plugins.push_back(PluginUse{name, weighs ? entry.weight : std::nullopt, entry.line});
  }

  // The name of the plugin that stands for the entry, which is made the first time; "" when there
  // is no such plugin.
  std::string plugin_of(const SeedEntry& entry) {
    for (const auto& known : made_) {
      if (known.seed_name != entry.name) continue;
      if (known.entry == entry.line || (!known.own_args && !entry.own_args)) return known.plugin;
    }
    const std::optional<SeedTranslation> translated = translation_of(entry);
    if (!translated) return "";
    std::string name = translated->type;
    for (int number = 2; config_.find_plugin(name) != nullptr; ++number) {
      name = translated->type + "-" + std::to_string(number);
    }
    config_.plugins.push_back(
        PluginConfig{name, translated->type, translated->parameters, entry.line,
                     translated->type != entry.name});
    note(entry.line, translated->note);
    made_.push_back(Made{entry.name, name, entry.own_args, entry.line});
    return name;
  }

  std::optional<SeedTranslation> translation_of(const SeedEntry& entry) {
    auto translated = translate_seed_plugin(entry.name, entry.args, reading_.errors);
    if (translated) return translated;
    if (find_plugin_type(types_, entry.name) != nullptr) {
      return SeedTranslation{entry.name, entry.args,
                             entry.name + ": a name of llm-d, taken as it is"};
    }
    std::vector<std::string_view> names = seed_plugin_names();
    for (const PluginTypeFacts& type : types_) names.push_back(type.name);
    error(entry.line, "there is no plugin '" + entry.name + "'" + did_you_mean(entry.name, names));
    return std::nullopt;
  }

  void add_scrapers(const SeedProfile& profile) {
    for (const SeedEntry& entry : profile.scrapers) {
      if (!entry.name.empty()) config_.scrapers.push_back(read_seed_scraper(entry, reading_));
    }
    if (!config_.scrapers.empty()) config_.data_layer.inject_defaults = false;
  }

  struct Made {
    std::string seed_name;
    std::string plugin;
    bool own_args = false;
    int entry = 0;
  };

  const std::span<const PluginTypeFacts> types_;
  ConfigReading& reading_;
  EndpointPickerConfig& config_;
  std::vector<Made> made_;
};

}  // namespace

bool is_seed_config(const Value& document) {
  const bool seed =
      document.find("profiles") != nullptr || document.find("pluginConfig") != nullptr;
  return seed && document.find("plugins") == nullptr &&
         document.find("schedulingProfiles") == nullptr;
}

void read_seed_config(const Value& document, std::span<const PluginTypeFacts> types,
                      ConfigReading& reading) {
  reading.config.translated = true;
  SeedTranslator(types, reading).translate(read_seed_profiles(document, reading));
}

}  // namespace kvasir

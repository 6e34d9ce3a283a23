#include "scheduling/plugin_set.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>
#include <utility>

#include "scheduling/configured_policy.h"
#include "scheduling/flow_plugin_set.h"
#include "scheduling/plugin_maker.h"

namespace kvasir {
namespace {

constexpr std::string_view kDefaultHandler = "single-profile-handler";
constexpr std::string_view kDefaultPicker = "max-score-picker";
constexpr double kWeightMost = 1e9;

// The configuration with a profile at least: upstream's "default" holds all that fits into one.
SchedulingConfig with_profiles(SchedulingConfig config) {
  if (!config.profiles.empty()) return config;
  SchedulingProfileConfig profile;
  profile.name = "default";
  for (const PluginConfig& plugin : config.plugins) {
    profile.plugins.push_back({plugin.name.empty() ? plugin.type : plugin.name, {}, plugin.line});
  }
  config.profiles.push_back(std::move(profile));
  return config;
}

bool fits_into_profile(const Plugin* plugin) {
  return dynamic_cast<const Filter*>(plugin) != nullptr ||
         dynamic_cast<const Scorer*>(plugin) != nullptr ||
         dynamic_cast<const Picker*>(plugin) != nullptr;
}

void tell_of(PluginMaker& maker, const SchedulingProfileConfig& profile, int line,
             const std::string& problem) {
  maker.tell(line, "profile '" + profile.name + "': " + problem);
}

bool check_names(PluginMaker& maker, const SchedulingConfig& config) {
  std::set<std::string> names;
  for (const SchedulingProfileConfig& profile : config.profiles) {
    const bool named = !profile.name.empty();
    if (named && names.insert(profile.name).second) continue;
    tell_of(maker, profile, profile.line,
            named ? "another profile has this name" : "it has no name");
    return false;
  }
  return true;
}

// Puts one plugin where it belongs in the profile; false: the maker was told why it cannot.
bool place(PluginMaker& maker, const SchedulingProfileConfig& profile, const PluginUse& entry,
           Plugin* plugin, ProfilePlugins& plugins) {
  const uint16_t label = maker.label_of(plugin);
  if (const auto* filter = dynamic_cast<const Filter*>(plugin)) {
    plugins.filters.push_back(filter);
    plugins.filter_labels.push_back(label);
    plugins.filter_names.push_back(entry.plugin);
  }
  if (const auto* scorer = dynamic_cast<const Scorer*>(plugin)) {
    const double weight = entry.weight.value_or(1);
    // Finite, and small enough that sums of weighted scores are.
    if (!(std::abs(weight) <= kWeightMost)) {
      tell_of(maker, profile, entry.line,
              "the weight of '" + entry.plugin + "' must be from -1e9 to 1e9");
      return false;
    }
    plugins.scorers.push_back({scorer, weight, label});
  }
  if (auto* picker = dynamic_cast<Picker*>(plugin)) {
    if (plugins.picker != nullptr) {
      tell_of(maker, profile, entry.line, "'" + entry.plugin + "' is a second picker");
      return false;
    }
    plugins.picker = picker;
    plugins.picker_label = label;
  }
  return true;
}

std::optional<ProfilePlugins> make_profile(PluginMaker& maker,
                                           const SchedulingProfileConfig& profile) {
  ProfilePlugins plugins;
  plugins.name = profile.name;
  for (const PluginUse& entry : profile.plugins) {
    Plugin* plugin = maker.find(entry.plugin);
    if (plugin == nullptr) {
      tell_of(maker, profile, entry.line, "no plugin is named '" + entry.plugin + "'");
      return std::nullopt;
    }
    // As upstream: it does nothing here, and whoever reads the file is warned (config_lint.h).
    if (!fits_into_profile(plugin)) continue;
    if (!place(maker, profile, entry, plugin, plugins)) return std::nullopt;
  }
  if (plugins.picker == nullptr) {
    Plugin* picker = maker.add(kDefaultPicker);
    if (picker == nullptr) return std::nullopt;
    plugins.picker = dynamic_cast<Picker*>(picker);
    plugins.picker_label = maker.label_of(picker);
  }
  return plugins;
}

// The only profile handler among the plugins, added when there is none; null: the maker was told.
const ProfileHandler* find_handler(PluginMaker& maker, const SchedulingConfig& config) {
  const ProfileHandler* handler = nullptr;
  for (const PluginConfig& plugin : config.plugins) {
    const std::string& name = plugin.name.empty() ? plugin.type : plugin.name;
    const auto* candidate = dynamic_cast<const ProfileHandler*>(maker.find(name));
    if (candidate == nullptr) continue;
    if (handler != nullptr) {
      maker.tell(plugin.line,
                 "plugin '" + name + "': a second profile handler; there is exactly one");
      return nullptr;
    }
    handler = candidate;
  }
  if (handler != nullptr) return handler;
  return dynamic_cast<const ProfileHandler*>(maker.add(kDefaultHandler));
}

}  // namespace

Checked<PolicyWithNotes> make_configured_policy(const Registry& registry,
                                                const SchedulingConfig& given,
                                                const PluginOptions& options) {
  const SchedulingConfig config = with_profiles(given);
  PluginMaker maker(registry, config, options);
  if (!check_names(maker, config) || !maker.make_all()) return maker.problems();

  PolicyPlugins plugins;
  plugins.handler = find_handler(maker, config);
  for (const SchedulingProfileConfig& profile : config.profiles) {
    std::optional<ProfilePlugins> made = make_profile(maker, profile);
    if (!made) continue;
    made->metrics_half_life = options.metrics_half_life;
    made->filter_probe = options.filter_probe;
    plugins.profiles.push_back(std::move(*made));
  }
  const FoundFlowPlugins flow = find_flow_plugins(maker, registry, config);
  const Result<BlockSizes> views = maker.prompt_views();
  if (!views) maker.tell(0, views.error().message);
  if (!maker.problems().empty()) return maker.problems();
  plugins.detector = flow.detector;
  plugins.heeds_prefer = config.heeds_prefer;
  plugins.prompt_views = *views;
  plugins.indexes = maker.take_indexes();
  maker.connect_all();
  plugins.prefix_matches = maker.find_made<PrefixMatches>();
  plugins.owned = maker.take_plugins();
  auto labels = std::make_shared<PolicyLabels>();
  labels->plugins = maker.labels();
  for (const SchedulingProfileConfig& profile : config.profiles)
    labels->profiles.push_back(profile.name);
  plugins.labels = std::move(labels);
  for (const auto& plugin : plugins.owned) {
    plugins.owned_labels.push_back(maker.label_of(plugin.get()));
    if (auto* producer = dynamic_cast<Producer*>(plugin.get()))
      plugins.producers.push_back(producer);
    if (auto* admitter = dynamic_cast<Admitter*>(plugin.get())) plugins.admitters.push_back(admitter);
    if (auto* predictor = dynamic_cast<WorkPredictor*>(plugin.get())) plugins.predictor = predictor;
  }
  return PolicyWithNotes{
      std::make_unique<ConfiguredPolicy>(std::move(plugins)), maker.take_notes(),
      config.flow_control_enabled,
      FlowSettings{config.flow_control.value_or(FlowControlConfig()), flow.plugins}};
}

std::vector<Remark> plugin_problems(const Registry& registry, const SchedulingConfig& given,
                                    const PluginOptions& options) {
  const SchedulingConfig config = with_profiles(given);
  PluginMaker maker(registry, config, options);
  maker.make_all_beside_names();
  return maker.problems();
}

}  // namespace kvasir

#include "config/config_lint.h"

#include <set>

#include "base/parameters.h"

namespace kvasir {
namespace {

void collect_texts(const Value& value, std::set<std::string, std::less<>>& texts) {
  if (const std::string* text = value.text()) texts.insert(*text);
  if (const Value::List* list = value.list()) {
    for (const Value& element : *list) collect_texts(element, texts);
  }
  if (const Value::Map* map = value.map()) {
    for (const auto& entry : *map) collect_texts(entry.second, texts);
  }
}

// Names of plugins that something refers to: a profile, a section, or another plugin's parameters.
std::set<std::string, std::less<>> used_names(const EndpointPickerConfig& config) {
  std::set<std::string, std::less<>> used(config.parsers.begin(), config.parsers.end());
  for (const SchedulingProfileConfig& profile : config.profiles) {
    for (const PluginUse& use : profile.plugins) used.insert(use.plugin);
  }
  for (const DataSourceConfig& source : config.data_layer.sources) {
    used.insert(source.plugin);
    used.insert(source.extractors.begin(), source.extractors.end());
  }
  const DataLayerConfig& layer = config.data_layer;
  used.insert({layer.discovery, layer.peer_discovery, layer.cross_replica_syncer});
  const FlowControlConfig& flow = config.flow_control;
  used.insert({flow.saturation_detector, flow.usage_limit_policy, flow.default_band.fairness_policy,
               flow.default_band.ordering_policy, flow.default_negative_band.fairness_policy,
               flow.default_negative_band.ordering_policy});
  for (const PriorityBandConfig& band : flow.bands)
    used.insert({band.fairness_policy, band.ordering_policy});
  for (const PluginConfig& plugin : config.plugins) collect_texts(plugin.parameters, used);
  return used;
}

class Lint {
 public:
  Lint(const EndpointPickerConfig& config, std::span<const PluginTypeFacts> types)
      : config_(config), types_(types) {}

  std::vector<Remark> run() {
    check_plugins();
    for (const SchedulingProfileConfig& profile : config_.profiles) check_profile(profile);
    for (const ScraperConfig& scraper : config_.scrapers) check_scraper(scraper);
    if (config_.flow_control.line > 0 && !config_.flow_control_enabled) {
      warn(config_.flow_control.line,
           "flowControl: only saturationDetector counts while the feature gate flowControl is off");
    }
    return std::move(warnings_);
  }

 private:
  void warn(int line, std::string text) { warnings_.push_back(Remark{line, std::move(text)}); }

  uint32_t places(const PluginConfig& plugin) const {
    const PluginTypeFacts* type = find_plugin_type(types_, plugin.type);
    return type != nullptr ? type->places : 0;
  }

  void check_plugins() {
    const auto used = used_names(config_);
    for (const PluginConfig& plugin : config_.plugins) {
      if (plugin.line == 0) continue;
      if (!config_.translated) check_deprecated(plugin);
      check_source(plugin);
      // Handlers, producers and the like work by being configured.
      constexpr uint32_t kByReference = kFilterPlace | kScorerPlace | kPickerPlace |
                                        kDataLayerPlace | kFlowControlPlace | kParserPlace;
      const uint32_t all = places(plugin);
      if (all != 0 && (all & ~kByReference) == 0 && used.count(plugin.name) == 0) {
        warn(plugin.line, "plugins: '" + plugin.name + "' is used nowhere");
      }
    }
  }

  void check_deprecated(const PluginConfig& plugin) {
    const PluginTypeFacts* type = find_plugin_type(types_, plugin.type);
    if (type == nullptr || !type->deprecated) return;
    warn(plugin.line,
         "plugins: type " + plugin.type + " is deprecated" +
             (type->replaced_by.empty() ? "" : "; use " + std::string(type->replaced_by)));
  }

  void check_profile(const SchedulingProfileConfig& profile) {
    std::set<std::string> seen;
    for (const PluginUse& use : profile.plugins) {
      const std::string owner = "profile '" + profile.name + "': '" + use.plugin + "' ";
      if (!seen.insert(use.plugin).second) warn(use.line, owner + "stands twice");
      const PluginConfig* plugin = config_.find_plugin(use.plugin);
      const uint32_t all = plugin != nullptr ? places(*plugin) : 0;
      if (all == 0 || use.line == 0) continue;
      if ((all & (kFilterPlace | kScorerPlace | kPickerPlace)) == 0) {
        warn(use.line, owner + "is no filter, scorer or picker: it does nothing here");
      } else if (use.weight && (all & kScorerPlace) == 0) {
        warn(use.line, owner + "is no scorer: its weight has no effect");
      } else if (use.weight && *use.weight == 0) {
        warn(use.line, owner + "has weight 0: its scores count for nothing");
      }
    }
  }

  void check_interval(const std::string& owner, int line, Duration interval) {
    if (line > 0 && interval < kShortestSensibleScrape) {
      warn(line, owner + ": an interval under 1s loads the endpoints for little news");
    }
  }

  void check_timeout(const std::string& owner, int line, Duration timeout, Duration interval,
                     int interval_line) {
    if (line > 0 && timeout < kShortestSensibleScrape) {
      warn(line, owner + ": a timeout under 1s takes a busy endpoint for a dead one");
    }
    const int written = line > 0 ? line : interval_line;
    if (written > 0 && timeout > interval) {
      warn(written, owner + ": the timeout is longer than the interval; scrapes would overlap");
    }
  }

  void check_scraper(const ScraperConfig& scraper) {
    check_interval(scraper.type, scraper.interval_line, scraper.interval);
    check_timeout(scraper.type, scraper.timeout_line, scraper.timeout, scraper.interval,
                  scraper.interval_line);
    if (scraper.metric_ttl_line > 0 && scraper.metric_ttl > kLongestSensibleTtl) {
      warn(scraper.metric_ttl_line,
           scraper.type + ": a TTL over 30s lets scorers decide on stale metrics");
    }
  }

  // The interval of a data source of llm-d's own shape; the source's maker checks that it is a
  // duration.
  void check_source(const PluginConfig& plugin) {
    const Value* value = plugin.parameters.find("interval");
    if ((places(plugin) & kDataLayerPlace) == 0 || value == nullptr || value->text() == nullptr)
      return;
    const std::optional<Duration> interval = parse_duration(*value->text());
    if (interval) check_interval(plugin.name, value->line(), *interval);
  }

  const EndpointPickerConfig& config_;
  const std::span<const PluginTypeFacts> types_;
  std::vector<Remark> warnings_;
};

}  // namespace

std::vector<Remark> lint_config(const EndpointPickerConfig& config,
                                std::span<const PluginTypeFacts> types) {
  return Lint(config, types).run();
}

}  // namespace kvasir

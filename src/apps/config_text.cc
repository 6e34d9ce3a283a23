#include "apps/config_text.h"

#include <fmt/format.h>

namespace kvasir {
namespace {

std::string value_text(const Value& value) {
  if (const bool* on = value.boolean()) return *on ? "true" : "false";
  if (const int64_t* whole = value.integer()) return fmt::format("{}", *whole);
  if (const auto number = value.number()) return fmt::format("{}", *number);
  if (const std::string* text = value.text()) return *text;
  std::string inside;
  if (const Value::List* list = value.list()) {
    for (const Value& element : *list) inside += (inside.empty() ? "" : ", ") + value_text(element);
    return "[" + inside + "]";
  }
  if (const Value::Map* map = value.map()) {
    for (const auto& entry : *map) {
      inside += (inside.empty() ? "" : ", ") + entry.first + ": " + value_text(entry.second);
    }
    return "{" + inside + "}";
  }
  return "null";
}

std::string duration_text(Duration duration) {
  return fmt::format("{}s", to_seconds(duration));
}

std::string limit_text(const std::optional<uint64_t>& limit) {
  return limit ? fmt::format("{}", *limit) : "unlimited";
}

class ConfigText {
 public:
  ConfigText(const EndpointPickerConfig& config, std::span<const PluginTypeFacts> types)
      : config_(config), types_(types) {}

  std::string write() {
    write_handler();
    for (const SchedulingProfileConfig& profile : config_.profiles) write_profile(profile);
    write_other_plugins();
    write_data_layer();
    write_flow_control();
    if (!config_.parsers.empty()) line("parsers: {}", fmt::join(config_.parsers, ", "));
    if (!out_.empty()) out_.pop_back();
    return out_;
  }

 private:
  template <class... Arguments>
  void line(fmt::format_string<Arguments...> format, Arguments&&... arguments) {
    fmt::format_to(std::back_inserter(out_), format, std::forward<Arguments>(arguments)...);
    out_ += '\n';
  }

  uint32_t places(const PluginConfig& plugin) const {
    const PluginTypeFacts* type = find_plugin_type(types_, plugin.type);
    return type != nullptr ? type->places : 0;
  }

  // "name (type) {parameters}", the type only where it says something.
  static std::string plugin_text(const PluginConfig& plugin) {
    std::string text = plugin.name;
    if (plugin.type != plugin.name) text += " (" + plugin.type + ")";
    const Value::Map* parameters = plugin.parameters.map();
    if (parameters != nullptr && !parameters->empty()) text += " " + value_text(plugin.parameters);
    return text;
  }

  void write_handler() {
    for (const PluginConfig& plugin : config_.plugins) {
      if ((places(plugin) & kProfileHandlerPlace) != 0)
        line("profile handler: {}", plugin_text(plugin));
    }
  }

  void write_profile(const SchedulingProfileConfig& profile) {
    line("profile {}:", profile.name);
    write_place(profile, kFilterPlace, "filter");
    write_place(profile, kScorerPlace, "scorer");
    write_place(profile, kPickerPlace, "picker");
  }

  void write_place(const SchedulingProfileConfig& profile, uint32_t place, const char* what) {
    for (const PluginUse& use : profile.plugins) {
      const PluginConfig* plugin = config_.find_plugin(use.plugin);
      if (plugin == nullptr || (places(*plugin) & place) == 0) continue;
      const std::string weight =
          place == kScorerPlace ? fmt::format("weight {:g}  ", use.weight.value_or(1)) : "";
      line("  {}  {}{}", what, weight, plugin_text(*plugin));
    }
  }

  void write_other_plugins() {
    for (const PluginConfig& plugin : config_.plugins) {
      const uint32_t all = places(plugin);
      if ((all & kProducerPlace) != 0) line("producer: {}", plugin_text(plugin));
      if ((all & kOtherPlace) != 0) line("also: {}", plugin_text(plugin));
    }
  }

  void write_data_layer() {
    const DataLayerConfig& layer = config_.data_layer;
    line("data layer:");
    for (const DataSourceConfig& source : layer.sources) {
      const PluginConfig* plugin = config_.find_plugin(source.plugin);
      line("  source  {}, read by {}", plugin != nullptr ? plugin_text(*plugin) : source.plugin,
           fmt::join(source.extractors, ", "));
    }
    for (const ScraperConfig& scraper : config_.scrapers) write_scraper(scraper);
    if (!layer.discovery.empty()) line("  discovery  {}", layer.discovery);
    if (!layer.peer_discovery.empty()) line("  peer discovery  {}", layer.peer_discovery);
    if (!layer.cross_replica_syncer.empty())
      line("  cross-replica syncer  {}", layer.cross_replica_syncer);
  }

  void write_scraper(const ScraperConfig& scraper) {
    const std::string port = scraper.port != 0 ? fmt::format(":{}", scraper.port) : "";
    line("  scraper  {} {}{}, interval {}, timeout {}, ttl {}", scraper.type, port, scraper.path,
         duration_text(scraper.interval), duration_text(scraper.timeout),
         duration_text(scraper.metric_ttl));
    if (!scraper.metrics.empty()) line("    metrics  {}", fmt::join(scraper.metrics, ", "));
    if (!scraper.health_check) return;
    const HealthCheckConfig& check = *scraper.health_check;
    line("    health check  interval {}, timeout {}, {} failures, {} successes",
         duration_text(check.interval), duration_text(check.timeout), check.unhealthy_threshold,
         check.healthy_threshold);
  }

  void write_flow_control() {
    const FlowControlConfig& flow = config_.flow_control;
    line("saturation detector: {}", flow.saturation_detector);
    if (!config_.flow_control_enabled) return line("flow control: off (feature gate flowControl)");
    line("flow control: on, {} requests, {} bytes, wait {} (without endpoints {}){}",
         limit_text(flow.requests_most), limit_text(flow.bytes_most),
         duration_text(flow.default_request_ttl), duration_text(flow.no_endpoint_request_ttl),
         flow.eviction ? ", eviction" : "");
    for (const PriorityBandConfig& band : flow.bands)
      write_band(fmt::format("priority {}", band.priority), band);
    write_band("other priorities", flow.default_band);
    write_band("other priorities below 0", flow.default_negative_band);
  }

  void write_band(const std::string& name, const PriorityBandConfig& band) {
    line("  {}: {} requests, {} bytes, {}, {}", name, band.requests_most, band.bytes_most,
         band.fairness_policy, band.ordering_policy);
  }

  const EndpointPickerConfig& config_;
  const std::span<const PluginTypeFacts> types_;
  std::string out_;
};

}  // namespace

std::string config_text(const EndpointPickerConfig& config,
                        std::span<const PluginTypeFacts> types) {
  return ConfigText(config, types).write();
}

}  // namespace kvasir

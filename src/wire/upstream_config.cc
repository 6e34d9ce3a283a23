#include "wire/upstream_config.h"

#include <limits>

#include "base/nearest_name.h"
#include "base/parameters.h"
#include "wire/flow_control_section.h"

namespace kvasir {
namespace {

std::string numbered(const std::string& owner, size_t index) {
  return owner + "[" + std::to_string(index) + "]";
}

void check_kind(Parameters& fields, ConfigReading& reading) {
  const std::string version = fields.text("apiVersion", "");
  if (version == kOldApiVersion) {
    reading.warnings.push_back(
        Remark{fields.any("apiVersion")->line(),
               "apiVersion " + version + " is the old name of " + std::string(kApiVersion)});
  } else if (version != kApiVersion) {
    fields.fail("apiVersion", "must be " + std::string(kApiVersion) +
                                  (version.empty() ? "" : ", not '" + version + "'"));
  }
  const std::string kind = fields.text("kind", "");
  if (kind != kConfigKind) {
    fields.fail("kind", "must be " + std::string(kConfigKind) +
                            (kind.empty() ? "" : ", not '" + kind + "'"));
  }
}

void set_gate(const std::string& name, bool on, int line, ConfigReading& reading) {
  if (name == "flowControl") {
    reading.config.flow_control_enabled = on;
  } else if (name == "haPopulateNonLeaderDatastore") {
    reading.config.populate_non_leader_datastore = on;
  } else if (name == "dataLayer" || name == "enableLegacyMetrics") {
    reading.warnings.push_back(Remark{line, "featureGates: " + name + " has no effect any more"});
  } else {
    reading.errors.push_back(
        Remark{line, "featureGates: unknown gate '" + name + "'" +
                         did_you_mean(name, {"flowControl", "haPopulateNonLeaderDatastore",
                                             "dataLayer", "enableLegacyMetrics"})});
  }
}

// "name" or "name=true" or "name=false".
void read_gates(const Value* value, ConfigReading& reading) {
  for (const Value& element : read_list(value, "featureGates", reading.errors)) {
    const std::string* text = element.text();
    if (text == nullptr) {
      reading.errors.push_back(Remark{element.line(), "featureGates: a gate must be a text, not " +
                                                          std::string(element.kind())});
      continue;
    }
    const size_t equals = text->find('=');
    const std::string state = equals == std::string::npos ? "true" : text->substr(equals + 1);
    if (state == "true" || state == "false") {
      set_gate(text->substr(0, equals), state == "true", element.line(), reading);
    } else {
      reading.errors.push_back(
          Remark{element.line(), "featureGates: '" + *text + "' must end in =true or =false"});
    }
  }
}

void read_plugins(const Value* value, ConfigReading& reading) {
  for (const Value& element : read_list(value, "plugins", reading.errors)) {
    Parameters fields(element, numbered("plugins", reading.config.plugins.size()), "field");
    PluginConfig plugin;
    plugin.line = element.line();
    plugin.type = fields.text("type", "");
    if (element.map() != nullptr && plugin.type.empty()) fields.fail("type", "is missing");
    plugin.name = fields.text("name", plugin.type);
    if (plugin.name.empty()) plugin.name = plugin.type;
    if (const Value* parameters = fields.any("parameters")) {
      plugin.parameters = *parameters;
      if (parameters->map() == nullptr)
        fields.fail("parameters", "must be a map, not " + std::string(parameters->kind()));
    }
    append(reading.errors, fields.problems());
    reading.config.plugins.push_back(std::move(plugin));
  }
}

std::vector<PluginUse> read_uses(const Value* value, const std::string& owner,
                                 std::vector<Remark>& errors) {
  std::vector<PluginUse> uses;
  for (const Value& element : read_list(value, owner, errors)) {
    Parameters fields(element, numbered(owner, uses.size()), "field");
    PluginUse use;
    use.line = element.line();
    use.plugin = fields.text("pluginRef", "");
    if (element.map() != nullptr && use.plugin.empty())
      fields.fail("pluginRef", "is missing; name one of the plugins");
    const double weight = fields.number("weight", 1);
    if (fields.has("weight")) use.weight = weight;
    append(errors, fields.problems());
    uses.push_back(std::move(use));
  }
  return uses;
}

void read_profiles(const Value* value, ConfigReading& reading) {
  for (const Value& element : read_list(value, "schedulingProfiles", reading.errors)) {
    const std::string owner = numbered("schedulingProfiles", reading.config.profiles.size());
    Parameters fields(element, owner, "field");
    SchedulingProfileConfig profile;
    profile.line = element.line();
    profile.name = fields.text("name", "");
    if (element.map() != nullptr && profile.name.empty()) fields.fail("name", "is missing");
    profile.plugins = read_uses(fields.any("plugins"), owner + ": plugins", reading.errors);
    append(reading.errors, fields.problems());
    reading.config.profiles.push_back(std::move(profile));
  }
}

DataSourceConfig read_source(const Value& value, const std::string& owner,
                             std::vector<Remark>& errors) {
  DataSourceConfig source;
  Parameters fields(value, owner, "field");
  source.line = value.line();
  source.plugin = fields.text("pluginRef", "");
  if (value.map() != nullptr && source.plugin.empty())
    fields.fail("pluginRef", "is missing; name one of the plugins");
  for (const Value& extractor :
       read_list(fields.any("extractors"), owner + ": extractors", errors)) {
    source.extractors.push_back(read_plugin_ref(
        &extractor, numbered(owner + ": extractors", source.extractors.size()), errors));
  }
  append(errors, fields.problems());
  return source;
}

DataLayerConfig read_data_layer(const Value& section, std::vector<Remark>& errors) {
  DataLayerConfig config;
  Parameters fields(section, "dataLayer", "field");
  config.inject_defaults = fields.boolean("injectDefaults", true);
  for (const Value& source : read_list(fields.any("sources"), "dataLayer: sources", errors)) {
    config.sources.push_back(
        read_source(source, numbered("dataLayer: sources", config.sources.size()), errors));
  }
  config.discovery = read_plugin_ref(fields.any("discovery"), "dataLayer: discovery", errors);
  config.peer_discovery =
      read_plugin_ref(fields.any("peerDiscovery"), "dataLayer: peerDiscovery", errors);
  config.cross_replica_syncer = fields.text("crossReplicaSyncerPluginRef", "");
  const Duration interval = fields.duration("crossReplicaSyncInterval", Duration::zero());
  if (fields.has("crossReplicaSyncInterval")) config.cross_replica_sync_interval = interval;
  append(errors, fields.problems());
  return config;
}

void read_request_handler(const Value& section, ConfigReading& reading) {
  Parameters fields(section, "requestHandler", "field");
  for (const Value& parser :
       read_list(fields.any("parsers"), "requestHandler: parsers", reading.errors)) {
    const std::string owner = numbered("requestHandler: parsers", reading.config.parsers.size());
    reading.config.parsers.push_back(read_plugin_ref(&parser, owner, reading.errors));
  }
  append(reading.errors, fields.problems());
}

// Fields that newer sections replace; the newer section wins.
void read_deprecated(Parameters& fields, ConfigReading& reading) {
  if (const Value* detector = fields.any("saturationDetector")) {
    const std::string name = read_plugin_ref(detector, "saturationDetector", reading.errors);
    const Value* section = fields.any("flowControl");
    const bool replaced = section != nullptr && section->find("saturationDetector") != nullptr;
    if (!replaced) reading.config.flow_control.saturation_detector = name;
    reading.warnings.push_back(Remark{
        detector->line(), "saturationDetector belongs into flowControl now" +
                              std::string(replaced ? ", which has one: this one is ignored" : "")});
  }
  if (const Value* parser = fields.any("parser")) {
    const std::string name = read_plugin_ref(parser, "parser", reading.errors);
    if (reading.config.parsers.empty()) reading.config.parsers.push_back(name);
    reading.warnings.push_back(
        Remark{parser->line(), "parser belongs into requestHandler.parsers now"});
  }
}

}  // namespace

void read_upstream_config(const Value& document, ConfigReading& reading) {
  Parameters fields(document, kConfigKind, "field");
  if (document.map() != nullptr) check_kind(fields, reading);
  read_gates(fields.any("featureGates"), reading);
  read_plugins(fields.any("plugins"), reading);
  read_profiles(fields.any("schedulingProfiles"), reading);
  if (const Value* section = fields.any("dataLayer")) {
    reading.config.data_layer = read_data_layer(*section, reading.errors);
  }
  if (const Value* section = fields.any("flowControl")) {
    reading.config.flow_control = read_flow_control(*section, reading.errors);
  }
  if (const Value* section = fields.any("requestHandler")) read_request_handler(*section, reading);
  read_deprecated(fields, reading);
  append(reading.errors, fields.problems());
}

}  // namespace kvasir

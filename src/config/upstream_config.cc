#include "config/upstream_config.h"

#include <limits>

#include "base/nearest_name.h"
#include "base/parameters.h"
#include "config/flow_control_section.h"

namespace kvasir {
namespace {

std::string numbered(const std::string& owner, size_t index) {
  return owner + "[" + std::to_string(index) + "]";
}

// llm-d's picker asks for neither apiVersion nor kind.
void warn_of_missing(const Parameters& fields, int line, ConfigReading& reading) {
  const bool version = fields.has("apiVersion");
  const bool kind = fields.has("kind");
  if (version && kind) return;
  const std::string what = version ? "kind is" : kind ? "apiVersion is" : "apiVersion and kind are";
  reading.warnings.push_back(Remark{line, what + " missing: read as " + std::string(kConfigKind) +
                                              " of " + std::string(kApiVersion)});
}

void check_kind(Parameters& fields, int line, ConfigReading& reading) {
  warn_of_missing(fields, line, reading);
  const std::string version = fields.text("apiVersion", kApiVersion);
  if (version == kOldApiVersion) {
    reading.warnings.push_back(
        Remark{fields.any("apiVersion")->line(),
               "apiVersion " + version + " is the old name of " + std::string(kApiVersion)});
  } else if (version != kApiVersion && version != kAlphaApiVersion) {
    fields.fail("apiVersion", "must be " + std::string(kApiVersion) + " or " +
                                  std::string(kAlphaApiVersion) + ", not '" + version + "'");
  }
  const std::string kind = fields.text("kind", kConfigKind);
  if (kind != kConfigKind) {
    fields.fail("kind", "must be " + std::string(kConfigKind) + ", not '" + kind + "'");
  }
}

// Read, and of no use here: docs/EPP.md has a table of such settings.
void note_no_effect(int line, const std::string& setting, const char* why, ConfigReading& reading) {
  reading.notes.push_back(Remark{line, setting + " has no effect here: " + why});
}

constexpr const char* kSharesUnasked =
    "pickers named by `--peers` share their state at an interval of their own";

void set_gate(const std::string& name, bool on, int line, ConfigReading& reading) {
  if (name == "flowControl") {
    reading.config.flow_control_enabled = on;
  } else if (name == "haPopulateNonLeaderDatastore") {
    reading.config.populate_non_leader_datastore = on;
    note_no_effect(line, "featureGates: " + name,
                   "a picker that stands by always knows its endpoints", reading);
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

// A field that v1 has elsewhere: read, with a warning in files that say that they are v1.
class MovedFields {
 public:
  MovedFields(bool is_v1, ConfigReading& reading) : is_v1_(is_v1), reading_(reading) {}

  void tell(const Value& value, const std::string& old_place, const std::string& new_place) {
    if (!is_v1_) return;
    reading_.warnings.push_back(Remark{value.line(), old_place + " is called " + new_place +
                                                         " in " + std::string(kApiVersion)});
  }

 private:
  const bool is_v1_;
  ConfigReading& reading_;
};

// {endpoints: {pluginRef}, peers: {pluginRef}}, or {pluginRef} of the endpoints alone.
void read_discovery(const Value* value, MovedFields& moved, DataLayerConfig& config,
                    std::vector<Remark>& errors) {
  if (value == nullptr || value->is_null()) return;
  const std::string owner = "dataLayer: discovery";
  Parameters fields(*value, owner, "field");
  config.discovery_line = value->line();
  config.discovery = fields.text("pluginRef", "");
  if (const Value* bare = fields.any("pluginRef"))
    moved.tell(*bare, owner + ".pluginRef", owner + ".endpoints.pluginRef");
  if (const Value* endpoints = fields.any("endpoints"))
    config.discovery = read_plugin_ref(endpoints, owner + ".endpoints", errors);
  if (const Value* peers = fields.any("peers"))
    config.peer_discovery = read_plugin_ref(peers, owner + ".peers", errors);
  if (value->map() != nullptr && config.discovery.empty() && config.peer_discovery.empty() &&
      fields.problems().empty())
    fields.fail("endpoints", "is missing; name the plugin that knows the endpoints");
  append(errors, fields.problems());
}

void note_timing(Parameters& fields, const std::string& owner, const char* key,
                 ConfigReading& reading) {
  const Value* value = fields.any(key);
  if (value != nullptr) note_no_effect(value->line(), owner + key, kSharesUnasked, reading);
}

void read_cross_replica(const Value& section, DataLayerConfig& config, ConfigReading& reading) {
  Parameters fields(section, "dataLayer: crossReplica", "field");
  config.cross_replica_syncer = fields.text("syncerPluginRef", config.cross_replica_syncer);
  const Duration interval = fields.duration("syncInterval", Duration::zero());
  if (fields.has("syncInterval")) config.cross_replica_sync_interval = interval;
  fields.duration("publishTimeout", Duration::zero());
  for (const char* key : {"syncInterval", "publishTimeout"})
    note_timing(fields, "dataLayer: crossReplica.", key, reading);
  append(reading.errors, fields.problems());
}

DataLayerConfig read_data_layer(const Value& section, bool is_v1, ConfigReading& reading) {
  DataLayerConfig config;
  std::vector<Remark>& errors = reading.errors;
  MovedFields moved(is_v1, reading);
  Parameters fields(section, "dataLayer", "field");
  config.inject_defaults = fields.boolean("injectDefaults", true);
  for (const Value& source : read_list(fields.any("sources"), "dataLayer: sources", errors)) {
    config.sources.push_back(
        read_source(source, numbered("dataLayer: sources", config.sources.size()), errors));
  }
  if (const Value* peers = fields.any("peerDiscovery")) {
    config.peer_discovery = read_plugin_ref(peers, "dataLayer: peerDiscovery", errors);
    moved.tell(*peers, "dataLayer: peerDiscovery", "dataLayer: discovery.peers");
  }
  read_discovery(fields.any("discovery"), moved, config, errors);
  config.cross_replica_syncer = fields.text("crossReplicaSyncerPluginRef", "");
  const Duration interval = fields.duration("crossReplicaSyncInterval", Duration::zero());
  if (fields.has("crossReplicaSyncInterval")) config.cross_replica_sync_interval = interval;
  fields.duration("crossReplicaPublishTimeout", Duration::zero());
  for (const char* key : {"crossReplicaSyncInterval", "crossReplicaPublishTimeout"})
    note_timing(fields, "dataLayer: ", key, reading);
  for (const char* old :
       {"crossReplicaSyncerPluginRef", "crossReplicaSyncInterval", "crossReplicaPublishTimeout"}) {
    if (const Value* value = fields.any(old))
      moved.tell(*value, std::string("dataLayer: ") + old, "dataLayer: crossReplica");
  }
  if (const Value* replicas = fields.any("crossReplica"))
    read_cross_replica(*replicas, config, reading);
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
  // The singular is what llm-d's reference calls it.
  if (const Value* parser = fields.any("parser")) {
    const std::string name = read_plugin_ref(parser, "requestHandler: parser", reading.errors);
    if (reading.config.parsers.empty() && !name.empty()) reading.config.parsers.push_back(name);
    reading.warnings.push_back(
        Remark{parser->line(), "requestHandler: parser is the old name of requestHandler: parsers"});
  }
  if (fields.boolean("propagatePriority", false)) {
    fields.fail("propagatePriority",
                "is not built: a request's priority is not written into its body");
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
  if (document.map() != nullptr) check_kind(fields, document.line(), reading);
  const Value* version = document.find("apiVersion");
  const bool is_v1 =
      version != nullptr && version->text() != nullptr && *version->text() == kApiVersion;
  read_gates(fields.any("featureGates"), reading);
  read_plugins(fields.any("plugins"), reading);
  read_profiles(fields.any("schedulingProfiles"), reading);
  if (const Value* section = fields.any("dataLayer")) {
    reading.config.data_layer = read_data_layer(*section, is_v1, reading);
  }
  if (const Value* section = fields.any("flowControl")) {
    reading.config.flow_control = read_flow_control(*section, reading.errors);
  }
  if (const Value* section = fields.any("requestHandler")) read_request_handler(*section, reading);
  read_deprecated(fields, reading);
  append(reading.errors, fields.problems());
}

}  // namespace kvasir

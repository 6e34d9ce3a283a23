#include "config/compile.h"

#include <algorithm>

#include "config/discovery_config.h"
#include "config/plugin_type_facts.h"
#include "config/presets.h"
#include "config/read_endpoint_picker_config.h"
#include "config/read_scrape_plan.h"
#include "kvevents/event_address.h"
#include "net/io/socket.h"
#include "scheduling/policy.h"
#include "scheduling/remote_source.h"

namespace kvasir {
namespace {

std::string located(std::string_view name, const Remark& remark) {
  std::string text(name);
  if (remark.line > 0) text.append(":").append(std::to_string(remark.line));
  return text.append(": ").append(remark.text);
}

// Everything that is wrong with one file, in the order of its lines.
class Problems {
 public:
  // `name` must outlive it.
  explicit Problems(std::string_view name) : name_(name) {}

  bool empty() const { return all_.empty(); }
  bool is_full() const { return all_.size() >= kConfigErrorsMost; }

  void add(const std::vector<Remark>& remarks) {
    for (const Remark& remark : remarks) all_.push_back({remark.line, located(name_, remark)});
  }
  // Of plugins; they are told as "NAME: line 3: TEXT".
  void add_of_plugins(const std::vector<Remark>& remarks) {
    for (const Remark& remark : remarks) {
      all_.push_back({remark.line, std::string(name_) + ": " + to_string(remark)});
    }
  }

  // Without those of lines that have a problem already: it is most often the same one.
  void add_of_other_lines(const Problems& more) {
    const std::vector<Remark> known = all_;
    for (const Remark& remark : more.all_) {
      const bool told =
          std::any_of(known.begin(), known.end(),
                      [&](const Remark& other) { return other.line == remark.line; });
      if (!told) all_.push_back(remark);
    }
  }

  Error error() {
    std::stable_sort(all_.begin(), all_.end(), [](const Remark& left, const Remark& right) {
      return left.line < right.line;
    });
    std::string text;
    for (size_t i = 0; i < all_.size() && i <= kConfigErrorsMost; ++i) {
      const size_t rest = all_.size() - i;
      // The reader counts what it leaves out, and so has one more.
      const bool counts = i == kConfigErrorsMost && rest > 1;
      text.append(i == 0 ? "" : "\n")
          .append(counts ? std::string(name_) + ": and " + std::to_string(rest) + " more errors"
                         : all_[i].text);
    }
    return Error{text};
  }

 private:
  const std::string_view name_;
  std::vector<Remark> all_;  // each text with the file's name
};

bool is_made_elsewhere(std::string_view type, const Registry& registry) {
  return is_scrape_plugin(type, registry) || is_request_parser(type) || is_discovery_plugin(type);
}

// Types that upstream has and nothing here makes or refuses with a reason.
std::vector<Remark> unsupported(const EndpointPickerConfig& config, const Registry& registry) {
  std::vector<Remark> problems;
  for (const PluginConfig& plugin : config.plugins) {
    if (registry.find(plugin.type) != nullptr || is_made_elsewhere(plugin.type, registry)) continue;
    if (plugin.line == 0) continue;  // not asked for: a default of what is off anyway
    problems.push_back(Remark{plugin.line, "plugin type '" + plugin.type + "' is not built yet"});
  }
  return problems;
}

SchedulingConfig scheduling_part(const EndpointPickerConfig& config, const Registry& registry) {
  SchedulingConfig scheduling;
  for (const PluginConfig& plugin : config.plugins) {
    if (registry.find(plugin.type) != nullptr) scheduling.plugins.push_back(plugin);
  }
  scheduling.profiles = config.profiles;
  scheduling.flow_control = config.flow_control;
  scheduling.flow_control_enabled = config.flow_control_enabled;
  return scheduling;
}

// Of addresses that plugins name and others use.
std::vector<Remark> address_problems(const Policy& policy) {
  std::vector<Remark> problems;
  for (const RemoteSource& source : policy.remote_sources()) {
    const Result<HostPort> origin = parse_http_origin(source.url);
    if (origin) continue;
    problems.push_back({0, "plugin '" + source.plugin + "': " + origin.error().message});
  }
  const WantedKnowledge wanted = policy.wanted_knowledge();
  if (wanted.tokens) {
    const Result<HostPort> origin = parse_http_origin(wanted.tokens->url);
    if (!origin)
      problems.push_back({0, "plugin '" + wanted.tokens->plugin + "': " + origin.error().message});
  }
  if (wanted.caches && !wanted.caches->bind.empty()) {
    const Result<void> bind = check_bind_address(wanted.caches->bind);
    if (!bind) problems.push_back({0, "kvEventsConfig: zmqEndpoint: " + bind.error().message});
  }
  return problems;
}

// Of all plugins but those that are made elsewhere, in the registry or not.
std::vector<Remark> problems_of_plugins(const EndpointPickerConfig& config,
                                        const Registry& registry, const PluginOptions& options) {
  SchedulingConfig scheduling = scheduling_part(config, registry);
  scheduling.plugins.clear();
  for (const PluginConfig& plugin : config.plugins) {
    if (!is_made_elsewhere(plugin.type, registry)) scheduling.plugins.push_back(plugin);
  }
  return plugin_problems(registry, scheduling, options);
}

bool is_of_data_layer(const Remark& remark) { return remark.text.starts_with("dataLayer"); }

// Of a file that cannot be read as a whole, or names types that are not built: everything that can
// be said. What a translated file lacks after an error is not the file's fault.
Error all_problems(const ConfigReading& reading, std::string_view name,
                   const Registry& registry, const CompileOptions& options) {
  const EndpointPickerConfig& config = reading.config;
  Problems problems(name);
  problems.add(reading.errors);
  if (problems.is_full() || config.translated) return problems.error();
  Problems more(name);
  more.add(unsupported(config, registry));
  more.add_of_plugins(problems_of_plugins(config, registry, options.plugins));
  more.add(discovery_file(config).problems());
  if (std::none_of(reading.errors.begin(), reading.errors.end(), is_of_data_layer)) {
    more.add(make_scrape_plan(config, registry, options.refresh_interval).problems());
  }
  problems.add_of_other_lines(more);
  return problems.error();
}

Error unknown_policy(std::string_view policy) {
  std::string message = "--policy: unknown policy '";
  message.append(policy).append("'; there are:");
  for (const std::string_view known : policy_names()) message.append(" ").append(known);
  return Error{message};
}

}  // namespace

Result<PoolConfig> compile(const ConfigReading& reading, std::string_view name,
                           const Registry& registry, const CompileOptions& options) {
  const EndpointPickerConfig& config = reading.config;
  if (!reading.ok() || !unsupported(config, registry).empty()) {
    return all_problems(reading, name, registry, options);
  }
  PoolConfig compiled;
  compiled.scheduling = scheduling_part(config, registry);
  const Checked<PolicyWithNotes> policy =
      make_configured_policy(registry, compiled.scheduling, options.plugins);
  Checked<RequestParsers> parsers = RequestParsers::of(config);
  Checked<DiscoveryFile> discovery = discovery_file(config);
  Checked<ScrapePlan> plan = make_scrape_plan(config, registry, options.refresh_interval);
  Problems problems(name);
  problems.add_of_plugins(policy.problems());
  if (policy) problems.add(address_problems(*policy->policy));
  problems.add(parsers.problems());
  problems.add(discovery.problems());
  problems.add(plan.problems());
  if (!problems.empty()) return problems.error();
  compiled.name = name;
  compiled.scrape = std::move(*plan);
  compiled.parsers = std::move(*parsers);
  compiled.discovery = std::move(*discovery);
  if (std::any_of(config.scrapers.begin(), config.scrapers.end(),
                  [](const ScraperConfig& scraper) { return scraper.cache_prefix_tracking; })) {
    compiled.caches.emplace();
    compiled.caches->replay_port = kUsualReplayPort;
  }
  compiled.says_something = reading.says_something;
  compiled.plugins_named = reading.plugins_listed;
  for (const std::string& note : compiled.scrape.notes) {
    compiled.notes.push_back(std::string(name) + ": " + note);
  }
  compiled.notes.insert(compiled.notes.end(), policy->notes.begin(), policy->notes.end());
  for (const auto* remarks : {&reading.warnings, &reading.notes}) {
    for (const Remark& remark : *remarks) compiled.notes.push_back(located(name, remark));
  }
  return compiled;
}

Result<PoolConfig> compile(std::string_view text, std::string_view name, const Registry& registry,
                           const CompileOptions& options) {
  return compile(read_endpoint_picker_config(text, plugin_type_facts(registry)), name, registry,
                 options);
}

Result<PoolConfig> compile_preset(std::string_view policy, const PresetOptions& preset,
                                  const Registry& registry, const CompileOptions& options) {
  const std::string_view text = preset_text(policy);
  if (text.empty()) return unknown_policy(policy);
  ConfigReading reading = read_endpoint_picker_config(text, plugin_type_facts(registry));
  const bool predicts = reading.config.flow_control.line > 0;
  if (preset.hold && !predicts) {
    return Error{"--hold: policy '" + std::string(policy) +
                 "' cannot tell how full a worker is; use kv or load-cost"};
  }
  for (PluginConfig& plugin : reading.config.plugins) plugin.translated = true;
  // What a file is given beside its own words: metrics, and a detector that reads them.
  std::erase_if(reading.config.plugins, [](const PluginConfig& plugin) { return plugin.line == 0; });
  std::erase_if(reading.config.data_layer.sources,
                [](const DataSourceConfig& source) { return source.line == 0; });
  Result<PoolConfig> compiled = compile(reading, policy, registry, options);
  if (!compiled) return Error{"--policy: " + compiled.error().message};
  compiled->notes.clear();  // nobody wrote the text, who would read them
  compiled->sheds = false;
  compiled->model_time = true;
  compiled->scheduling.flow_control_enabled = preset.hold;
  compiled->scheduling.heeds_prefer = false;  // it decides where requests go, not whether
  std::optional<FlowControlConfig>& flow = compiled->scheduling.flow_control;
  if (predicts) {
    flow->default_request_ttl = preset.held_most;
    flow->no_endpoint_request_ttl = Duration::zero();  // refused at once
  } else {
    flow.reset();
  }
  return compiled;
}

std::string discovery_note(std::string_view name, const DiscoveryFile& discovery) {
  return located(name, Remark{discovery.line, "dataLayer.discovery is not used: a flag says where the endpoints are"});
}

std::string empty_configuration_note(std::string_view name) {
  return std::string(name) + ": it configures nothing; the default configuration is in use";
}

std::string empty_configuration_refusal(std::string_view name) {
  return std::string(name) +
         ": it configures nothing (was it emptied, or cut short?); to go back to the defaults, "
         "start again with it";
}

}  // namespace kvasir

#include "serving/configured_scheduling.h"

#include <algorithm>
#include <charconv>

#include "net/io/socket.h"
#include "plugins/plugin_roster.h"
#include "scheduling/plugin_library.h"
#include "scheduling/policy.h"
#include "scheduling/remote_source.h"
#include "serving/plugin_type_facts.h"
#include "config/read_endpoint_picker_config.h"

namespace kvasir {
namespace {

// Whoever asks for the policy alone does not scrape.
constexpr Duration kAnyInterval = kRefreshIntervalLeast;

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

  // One a line, each as "line 3: text", as "NAME:3: text" or as the text alone.
  void add(std::string_view text) { append(all_, remarks_of(text)); }

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
  std::vector<Remark> remarks_of(std::string_view text) const {
    std::vector<Remark> remarks;
    while (!text.empty()) {
      const size_t end = text.find('\n');
      remarks.push_back(remark_of(text.substr(0, end)));
      text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    }
    return remarks;
  }

  Remark remark_of(std::string_view text) const {
    constexpr std::string_view kLine = "line ";
    const bool named =
        text.starts_with(name_) && text.substr(name_.size()).starts_with(':');
    Remark remark{0, named ? std::string(text) : std::string(name_).append(": ").append(text)};
    if (named) text.remove_prefix(name_.size() + 1);
    if (!named && text.starts_with(kLine)) text.remove_prefix(kLine.size());
    std::from_chars(text.data(), text.data() + text.size(), remark.line);  // 0 without one
    return remark;
  }

  const std::string_view name_;
  std::vector<Remark> all_;  // each text with the file's name
};

bool is_made_elsewhere(std::string_view type) {
  return is_scrape_plugin(type) || is_request_parser(type) || is_discovery_plugin(type);
}

// Types that upstream has and nothing here makes or refuses with a reason.
std::vector<Remark> unsupported(const EndpointPickerConfig& config, const Registry& registry) {
  std::vector<Remark> problems;
  for (const PluginConfig& plugin : config.plugins) {
    if (registry.find(plugin.type) != nullptr || is_made_elsewhere(plugin.type)) continue;
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

std::string remote_source_problems(const Policy& policy) {
  std::string problems;
  for (const RemoteSource& source : policy.remote_sources()) {
    const Result<HostPort> origin = parse_http_origin(source.url);
    if (origin) continue;
    problems.append(problems.empty() ? "" : "\n");
    problems.append("plugin '").append(source.plugin).append("': ").append(origin.error().message);
  }
  return problems;
}

// Of all plugins but those that are made elsewhere, in the registry or not.
std::string problems_of_plugins(const EndpointPickerConfig& config, const Registry& registry,
                                const PluginOptions& options) {
  SchedulingConfig scheduling = scheduling_part(config, registry);
  scheduling.plugins.clear();
  for (const PluginConfig& plugin : config.plugins) {
    if (!is_made_elsewhere(plugin.type)) scheduling.plugins.push_back(plugin);
  }
  return plugin_problems(registry, scheduling, options);
}

template <class Value>
void add_error(Problems& problems, const Result<Value>& result) {
  if (!result) problems.add(result.error().message);
}

bool is_of_data_layer(const Remark& remark) { return remark.text.starts_with("dataLayer"); }

// Of a file that cannot be read as a whole, or names types that are not built: everything that can
// be said. What a translated file lacks after an error is not the file's fault.
Error all_problems(const ConfigReading& reading, std::string_view name,
                   const PluginOptions& options, Duration refresh_interval,
                   const Registry& registry) {
  const EndpointPickerConfig& config = reading.config;
  Problems problems(name);
  problems.add(reading.errors);
  if (problems.is_full() || config.translated) return problems.error();
  Problems more(name);
  more.add(unsupported(config, registry));
  more.add(problems_of_plugins(config, registry, options));
  add_error(more, discovery_file(config, name));
  if (std::none_of(reading.errors.begin(), reading.errors.end(), is_of_data_layer)) {
    add_error(more, make_scrape_plan(config, name, refresh_interval));
  }
  problems.add_of_other_lines(more);
  return problems.error();
}

}  // namespace

Result<Registry> plugin_registry(const std::vector<std::string>& plugin_files) {
  Registry registry;
  register_plugins(registry);
  for (const std::string& file : plugin_files) {
    if (const Result<void> loaded = load_plugin_library(file, registry); !loaded) {
      return Error{"--plugin " + loaded.error().message};
    }
  }
  return registry;
}

Result<Configuration> make_configuration(const ConfigReading& reading, std::string_view name,
                                         const PluginOptions& options, Duration refresh_interval,
                                         const Registry& registry) {
  const EndpointPickerConfig& config = reading.config;
  if (!reading.ok() || !unsupported(config, registry).empty()) {
    return all_problems(reading, name, options, refresh_interval, registry);
  }
  Result<PolicyWithNotes> policy =
      make_configured_policy(registry, scheduling_part(config, registry), options);
  Result<RequestParsers> parsers = RequestParsers::of(config);
  Result<DiscoveryFile> discovery = discovery_file(config, name);
  Result<ScrapePlan> plan = make_scrape_plan(config, name, refresh_interval);
  Problems problems(name);
  add_error(problems, policy);
  if (policy) problems.add(remote_source_problems(*policy->policy));
  add_error(problems, parsers);
  add_error(problems, discovery);
  add_error(problems, plan);
  if (!problems.empty()) return problems.error();
  for (const std::string& note : plan->notes)
    policy->notes.insert(policy->notes.begin(), std::string(name) + ": " + note);
  for (const auto* remarks : {&reading.warnings, &reading.notes}) {
    for (const Remark& remark : *remarks) policy->notes.push_back(located(name, remark));
  }
  return Configuration{std::move(*policy), std::move(*parsers), std::move(*plan),
                       std::move(*discovery)};
}

Result<Configuration> make_configuration(std::string_view text, std::string_view name,
                                         const PluginOptions& options, Duration refresh_interval) {
  const Result<Registry> registry = plugin_registry(options.plugin_files);
  if (!registry) return registry.error();
  return make_configuration(read_endpoint_picker_config(text, plugin_type_facts(*registry)), name,
                            options, refresh_interval, *registry);
}

Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options) {
  Result<Configuration> made = make_configuration(text, name, options, kAnyInterval);
  if (!made) return made.error();
  return std::move(made->policy);
}

Result<PolicyWithNotes> policy_from_config(std::string_view text, std::string_view name,
                                           const PluginOptions& options, const Registry& registry) {
  Result<Configuration> made =
      make_configuration(read_endpoint_picker_config(text, plugin_type_facts(registry)), name,
                         options, kAnyInterval, registry);
  if (!made) return made.error();
  return std::move(made->policy);
}

Result<DiscoveryFile> discovery_from_config(std::string_view text, std::string_view name,
                                            const PluginOptions& options) {
  const Result<Registry> registry = plugin_registry(options.plugin_files);
  if (!registry) return registry.error();
  const ConfigReading reading = read_endpoint_picker_config(text, plugin_type_facts(*registry));
  if (reading.ok()) {
    Result<DiscoveryFile> file = discovery_file(reading.config, name);
    if (file) return file;
  }
  return make_configuration(reading, name, options, kAnyInterval, *registry).error();
}

std::string discovery_note(std::string_view name, const DiscoveryFile& discovery) {
  return located(name, Remark{discovery.line, "dataLayer.discovery is not used: a flag says where the endpoints are"});
}

AdmissionSettings admission_settings(const PolicyWithNotes& made) {
  using Mode = AdmissionSettings::Mode;
  return {made.flow_control_enabled ? Mode::kFlowControl : Mode::kShedding, made.flow};
}

}  // namespace kvasir

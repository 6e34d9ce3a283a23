#include <CLI/CLI.hpp>
#include <algorithm>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/config_text.h"
#include "base/whole_file.h"
#include "config/compile.h"
#include "config/plugin_type_facts.h"
#include "config/presets.h"
#include "config/read_endpoint_picker_config.h"
#include "feeds/fleet_feeds.h"
#include "plugins/plugin_roster.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

// One byte more than a configuration may have, so that the reader can tell.
std::string read_some(std::istream& stream) {
  std::string text(kYamlBytesMost + 1, '\0');
  stream.read(text.data(), static_cast<std::streamsize>(text.size()));
  text.resize(static_cast<size_t>(stream.gcount()));
  return text;
}

// "-" is standard input.
Result<std::string> read_file(const std::string& file) {
  if (file == "-") return read_some(std::cin);
  return read_whole_file(file, kYamlBytesMost);
}

struct CheckFlags {
  std::string file;
  std::vector<std::string> plugins;
  bool allow_experimental_plugins = false;
};

void print(const std::string& name, const char* what, const std::vector<Remark>& remarks) {
  for (const Remark& remark : remarks) {
    const std::string place = remark.line > 0 ? name + ":" + std::to_string(remark.line) : name;
    std::cout << place << ": " << what << ": " << remark.text << "\n";
  }
}

// What the plugins said while they were made: they come before what was said of the file.
void print_plugin_notes(const std::string& name, const ConfigReading& reading,
                        const std::vector<std::string>& notes) {
  const size_t own = notes.size() - reading.warnings.size() - reading.notes.size();
  for (size_t i = 0; i < own; ++i) std::cout << name << ": note: " << notes[i] << "\n";
}

// The file of endpoints may be another machine's.
void warn_of_missing_file(const DiscoveryFile& discovery, ConfigReading& reading) {
  if (discovery.path.empty() || std::filesystem::is_regular_file(discovery.path)) return;
  reading.warnings.push_back(
      Remark{discovery.line, "the file of endpoints " + discovery.path +
                                 " is not here: a start with this configuration needs it"});
}

std::string count(size_t number, const std::string& what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

// As a program does it that starts with these flags.
PluginOptions options_of(const CheckFlags& flags) {
  PluginOptions options;
  options.endpoints = FleetFeedsOptions().endpoints_max;
  options.profile = load_engine_profile(std::string(kDefaultEngineProfile)).value();
  options.allow_alpha = flags.allow_experimental_plugins;
  return options;
}

size_t lines_of(std::string_view text) {
  return 1 + static_cast<size_t>(std::count(text.begin(), text.end(), '\n'));
}

int check(const CheckFlags& flags) {
  const Result<std::string> text = read_file(flags.file);
  if (!text) return fail_command("config check", 2, text.error().message);
  const Result<Registry> registry = plugin_registry(flags.plugins);
  if (!registry) return fail_command("config check", 2, registry.error().message);
  const std::vector<PluginTypeFacts> types = plugin_type_facts(*registry);
  const std::string name = flags.file == "-" ? "standard input" : flags.file;
  ConfigReading reading = read_endpoint_picker_config(*text, types);
  const Result<PoolConfig> made = compile(reading, name, *registry, {options_of(flags)});
  // What would be filled in matters only when the file can be used.
  if (made) {
    std::cout << config_text(reading.config, types) << "\n";
    print_plugin_notes(name, reading, made->notes);
    print(name, "note", reading.notes);
    warn_of_missing_file(made->discovery, reading);
  }
  print(name, "warning", reading.warnings);
  const size_t errors = made ? 0 : lines_of(made.error().message);
  std::cout << name << ": " << count(errors, "error") << ", "
            << count(reading.warnings.size(), "warning") << std::endl;
  return made ? 0 : fail_command("config check", 2, made.error().message);
}

// A named policy as a file to begin from.
int show(const std::string& policy) {
  std::cout << preset_text(policy) << std::flush;
  return 0;
}

void add_show_command(CLI::App& config, int& exit_code) {
  CLI::App* command =
      config.add_subcommand("show", "Print a named policy (--policy) as a configuration");
  auto policy = std::make_shared<std::string>();
  command->add_option("POLICY", *policy, "Which one")
      ->required()
      ->check(CLI::IsMember(policy_names()));
  command->footer(
      "What `kvasir gateway --policy` runs is a configuration like any other: begin from it.\n"
      "Differences: as a file it counts real seconds (no --time-scale), its flowControl decides who\n"
      "waits and for how long (no --hold, no --max-hold), and plugins that llm-d's picker does not\n"
      "have need --allow-experimental-plugins.\n\n"
      "  kvasir config show kv > mine.yaml\n"
      "  kvasir gateway --config mine.yaml --allow-experimental-plugins ...");
  command->callback([policy, &exit_code] { exit_code = show(*policy); });
}

}  // namespace

void add_config_command(CLI::App& app, int& exit_code) {
  CLI::App* config = app.add_subcommand("config", "Explain a configuration of the endpoint picker");
  config->require_subcommand(1);
  config->footer("Start here: kvasir config check examples/epp_default.yaml");
  add_show_command(*config, exit_code);
  CLI::App* command =
      config->add_subcommand("check", "Say what a file means, and what is wrong with it");
  auto flags = std::make_shared<CheckFlags>();
  command
      ->add_option("FILE", flags->file,
                   "An EndpointPickerConfig as YAML or JSON, or a ConfigMap that holds one; - is "
                   "standard input")
      ->required();
  command
      ->add_option(
          "--plugin", flags->plugins,
          "A shared object with more plugin types (examples/plugin); may be given several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->add_flag("--allow-experimental-plugins", flags->allow_experimental_plugins,
                    "Let the configuration name alpha plugins");
  command->footer(
      "Prints the profiles with their filters, scorers and pickers, then notes (what was filled in "
      "or translated), warnings\n"
      "(works, and is probably not meant) and errors, each with its line. The plugins are made as "
      "`kvasir epp` and\n"
      "`kvasir gateway` make them, so that they have the same verdict: exit code 0: they start "
      "with the file; 2: they do not.\n"
      "Reads llm-d's configuration (apiVersion llm-d.ai/v1 or v1alpha1) and the tutorial's shape "
      "with PascalCase names,\n"
      "e.g. LoadAwareScorer.\n\n"
      "  kvasir config check epp.yaml\n"
      "  kubectl get configmap epp-config -o yaml | kvasir config check -");
  command->callback([flags, &exit_code] { exit_code = check(*flags); });
}

}  // namespace kvasir

#include <CLI/CLI.hpp>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <memory>

#include "apps/commands.h"
#include "apps/config_text.h"
#include "serving/configured_scheduling.h"
#include "serving/plugin_type_facts.h"
#include "wire/read_endpoint_picker_config.h"
#include "wire/yaml.h"

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
  std::ifstream stream(file, std::ios::binary);
  if (!stream || std::filesystem::is_directory(file)) return Error{file + ": cannot be read"};
  return read_some(stream);
}

void print(const std::string& name, const char* what, const std::vector<Remark>& remarks) {
  for (const Remark& remark : remarks) {
    const std::string place = remark.line > 0 ? name + ":" + std::to_string(remark.line) : name;
    std::cout << place << ": " << what << ": " << remark.text << "\n";
  }
}

std::string count(size_t number, const std::string& what) {
  return std::to_string(number) + " " + what + (number == 1 ? "" : "s");
}

int fail(const Error& error) {
  std::cerr << "kvasir config check: " << error.message << "\n";
  return 2;
}

int check(const std::string& file, const std::vector<std::string>& plugins) {
  const Result<std::string> text = read_file(file);
  if (!text) return fail(text.error());
  const Result<Registry> registry = plugin_registry(plugins);
  if (!registry) return fail(registry.error());
  const std::vector<PluginTypeFacts> types = plugin_type_facts(*registry);
  const std::string name = file == "-" ? "standard input" : file;
  const ConfigReading reading = read_endpoint_picker_config(*text, types);
  // What would be filled in matters only when the file can be used.
  if (reading.ok()) std::cout << config_text(reading.config, types) << "\n";
  if (reading.ok()) print(name, "note", reading.notes);
  print(name, "warning", reading.warnings);
  print(name, "error", reading.errors);
  std::cout << name << ": " << count(reading.errors.size(), "error") << ", "
            << count(reading.warnings.size(), "warning") << "\n";
  return reading.ok() ? 0 : 2;
}

}  // namespace

void add_config_command(CLI::App& app, int& exit_code) {
  CLI::App* config = app.add_subcommand("config", "Explain a configuration of the endpoint picker");
  config->require_subcommand(1);
  config->footer("Start here: kvasir config check examples/epp_default.yaml");
  CLI::App* command =
      config->add_subcommand("check", "Say what a file means, and what is wrong with it");
  auto file = std::make_shared<std::string>();
  command
      ->add_option("FILE", *file,
                   "An EndpointPickerConfig as YAML or JSON, or a ConfigMap that holds one; - is "
                   "standard input")
      ->required();
  auto plugins = std::make_shared<std::vector<std::string>>();
  command
      ->add_option(
          "--plugin", *plugins,
          "A shared object with more plugin types (examples/plugin); may stand several times")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  command->footer(
      "Prints the profiles with their filters, scorers and pickers, then notes (what was filled in "
      "or translated), warnings\n"
      "(works, and is probably not meant) and errors, each with its line. Exit code 0: the file "
      "can be used; 2: it cannot.\n"
      "Reads llm-d's configuration (apiVersion llm-d.ai/v1alpha1) and the tutorial's shape with "
      "PascalCase names, e.g.\n"
      "LoadAwareScorer. Plugin parameters themselves are checked when the plugins are made.\n\n"
      "  kvasir config check epp.yaml\n"
      "  kubectl get configmap epp-config -o yaml | kvasir config check -");
  command->callback([file, plugins, &exit_code] { exit_code = check(*file, *plugins); });
}

}  // namespace kvasir

#include "apps/usage_error.h"

#include <algorithm>
#include <cstdlib>
#include <string_view>
#include <vector>

#include "base/nearest_name.h"

namespace kvasir {
namespace {

// "kvasir bench ab"
std::string full_name(const CLI::App& command) {
  const CLI::App* parent = command.get_parent();
  return parent == nullptr ? command.get_name() : full_name(*parent) + " " + command.get_name();
}

// The innermost subcommand that was reached; with `unknown`, that was left with words it does not
// know, nullptr when none was.
const CLI::App* innermost(const CLI::App& command, bool unknown) {
  for (const CLI::App* sub : command.get_subcommands()) {
    if (const CLI::App* found = innermost(*sub, unknown)) return found;
  }
  return unknown && command.remaining().empty() ? nullptr : &command;
}

std::vector<std::string> subcommands_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::App* sub : command.get_subcommands([](const CLI::App*) { return true; })) {
    names.push_back(sub->get_name());
  }
  return names;
}

std::vector<std::string> flags_of(const CLI::App& command) {
  std::vector<std::string> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back("--" + name);
  }
  return names;
}

std::string meant(std::string_view word, const std::vector<std::string>& names) {
  return did_you_mean(word, {names.begin(), names.end()});
}

// Flags that older pickers had and that go by no other name today; manifests still hold them.
struct GoneFlag {
  std::string_view name;
  std::string_view text;
};
constexpr GoneFlag kGoneFlags[] = {
    {"destinationEndpointHintKey",
     "leave it out: the header is always x-gateway-destination-endpoint"},
    {"destinationEndpointHintMetadataNamespace",
     "leave it out: the metadata's namespace is always envoy.lb"},
};

// "" when it is none of them. Case and dashes do not count.
std::string_view why_gone(const CLI::App& command, std::string_view flag) {
  if (command.get_name() != "epp") return "";
  for (const GoneFlag& gone : kGoneFlags) {
    if (!nearest_name(flag, {gone.name}).empty()) return gone.text;
  }
  return "";
}

// Without the value that may stand in the same word: it may be a secret.
std::string unknown_word(const CLI::App& command, const std::string& word) {
  if (word.size() > 1 && word.front() == '-') {
    const std::string flag = word.substr(0, word.find('='));
    const std::string_view gone = why_gone(command, flag);
    if (!gone.empty()) return flag + ": there is no such flag any more; " + std::string(gone);
    return flag + ": there is no such flag" + meant(flag, flags_of(command));
  }
  const std::vector<std::string> names = subcommands_of(command);
  if (names.empty()) return "'" + word + "': one word too many";
  return "'" + word + "': there is no such subcommand" + meant(word, names);
}

// The parser takes variables for flags that the command line does not have.
bool is_of_environment(const CLI::App& command, const CLI::Option& option) {
  const std::string& variable = option.get_envname();
  if (variable.empty() || std::getenv(variable.c_str()) == nullptr) return false;
  const std::vector<CLI::Option*>& given = command.parse_order();
  return std::find(given.begin(), given.end(), &option) == given.end();
}

std::string missing_subcommand(const CLI::App& command) {
  std::string all;
  for (const std::string& name : subcommands_of(command)) {
    all.append(all.empty() ? "" : ", ").append(name);
  }
  return "a subcommand is missing: " + all;
}

}  // namespace

std::string usage_error(const CLI::App& app, const CLI::ParseError& error) {
  const bool extras = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::ExtrasError);
  const bool required = error.get_exit_code() == static_cast<int>(CLI::ExitCodes::RequiredError);
  if (!extras && !required) return "";
  const CLI::App* command = innermost(app, true);
  std::string problem;
  if (command != nullptr) {
    problem = unknown_word(*command, command->remaining().front());
  } else {
    command = innermost(app, false);
    if (command->get_require_subcommand_min() == 0) return "";  // it names a flag that is missing
    problem = missing_subcommand(*command);
  }
  const std::string name = full_name(*command);
  return name + ": " + problem + " (" + name + " --help lists them)";
}

std::string with_variables(const CLI::App& command, std::string message) {
  for (const CLI::Option* option : command.get_options()) {
    if (!is_of_environment(command, *option)) continue;
    const std::string flag = option->get_name();
    const size_t at = message.find(flag);
    const size_t end = at + flag.size();
    if (at == std::string::npos || (end < message.size() && message[end] == '-')) continue;
    message.replace(at, flag.size(), option->get_envname() + " (" + flag + ")");
  }
  return message;
}

std::string variable_error(const CLI::App& app, const CLI::ParseError& error) {
  const CLI::App& command = *innermost(app, false);
  const std::string message = with_variables(command, error.what());
  return message == error.what() ? "" : full_name(command) + ": " + message;
}

}  // namespace kvasir

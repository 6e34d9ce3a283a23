#include "apps/sidecar_configuration.h"

#include <CLI/CLI.hpp>
#include <algorithm>
#include <optional>
#include <variant>

#include "base/nearest_name.h"
#include "base/whole_file.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

constexpr std::string_view kInline = "--configuration";
constexpr std::string_view kFile = "--configuration-file";

// Takes `flag` and its value out of `words`. An error: it has no value, or stands there twice.
Result<std::optional<std::string>> take_flag(std::string_view flag,
                                             std::vector<std::string>& words) {
  std::optional<std::string> value;
  for (auto word = words.begin(); word != words.end();) {
    const bool joined = word->starts_with(std::string(flag) + "=");
    if (!joined && *word != flag) {
      ++word;
      continue;
    }
    if (value) return Error{std::string(flag) + ": given twice"};
    if (!joined && word + 1 == words.end()) return Error{std::string(flag) + ": no value"};
    value = joined ? word->substr(flag.size() + 1) : *(word + 1);
    word = words.erase(word, word + (joined ? 1 : 2));
  }
  return value;
}

bool is_written(const CLI::Option& option, const std::vector<std::string>& words) {
  const std::vector<std::string>& names = option.get_lnames();
  return std::any_of(names.begin(), names.end(), [&words](const std::string& name) {
    return std::any_of(words.begin(), words.end(), [&name](const std::string& word) {
      return word == "--" + name || word.starts_with("--" + name + "=");
    });
  });
}

std::string number_text(double number) {
  std::string text = std::to_string(number);
  text.erase(text.find_last_not_of('0') + 1);
  return text;
}

// As a flag has it; lists with commas. nullopt: a flag cannot hold that.
std::optional<std::string> flag_text(const Value& value) {
  if (const bool* yes = value.boolean()) return *yes ? "true" : "false";
  if (const int64_t* whole = value.integer()) return std::to_string(*whole);
  if (const std::string* text = value.text()) return *text;
  if (const auto number = value.number()) return number_text(*number);
  if (value.list() == nullptr) return std::nullopt;
  std::string all;
  for (const Value& element : *value.list()) {
    const std::optional<std::string> text =
        element.list() == nullptr ? flag_text(element) : std::nullopt;
    if (!text) return std::nullopt;
    all.append(all.empty() ? "" : ",").append(*text);
  }
  return all;
}

const CLI::Option* flag_of_key(const CLI::App& command, const std::string& key) {
  const CLI::Option* flag = command.get_option_no_throw("--" + key);
  const bool is_one =
      flag != nullptr && key != "help" && "--" + key != kInline && "--" + key != kFile;
  return is_one ? flag : nullptr;
}

Error unknown_key(const CLI::App& command, const std::string& where, const std::string& key) {
  std::vector<std::string_view> names;
  for (const CLI::Option* option : command.get_options()) {
    for (const std::string& name : option->get_lnames()) names.push_back(name);
  }
  return Error{where + "'" + key + "' is not a flag of kvasir sidecar" + did_you_mean(key, names)};
}

}  // namespace

Result<ConfiguredWords> with_configuration(const CLI::App& command,
                                           const std::vector<std::string>& arguments) {
  std::vector<std::string> words = arguments;
  Result<std::optional<std::string>> text = take_flag(kInline, words);
  if (!text) return text.error();
  const Result<std::optional<std::string>> path = take_flag(kFile, words);
  if (!path) return path.error();
  if (*text && *path) return Error{"--configuration and --configuration-file: give one of them"};
  std::string origin(kInline);
  if (*path) {
    origin = std::string(kFile) + " " + **path;
    Result<std::string> read = read_whole_file(**path, kYamlBytesMost);
    if (!read) return Error{std::string(kFile) + ": " + read.error().message};
    *text = std::move(*read);
  }
  if (!*text) return ConfiguredWords{words, {}};
  const std::variant<Value, Remark> parsed = parse_yaml(**text);
  if (const auto* problem = std::get_if<Remark>(&parsed)) {
    return Error{origin + ": " + to_string(*problem)};
  }
  const Value& root = std::get<Value>(parsed);
  if (root.is_null()) return ConfiguredWords{words, {}};
  if (root.map() == nullptr) {
    return Error{origin + ": " + std::string(root.kind()) + "; wanted are flags: 'port: 8000'"};
  }
  ConfiguredWords all{words, {}};
  for (const auto& [key, value] : *root.map()) {
    const std::string where = origin + ": line " + std::to_string(value.line()) + ": ";
    const CLI::Option* flag = flag_of_key(command, key);
    if (flag == nullptr) return unknown_key(command, where, key);
    const std::optional<std::string> written = flag_text(value);
    if (!written) return Error{where + key + ": a flag cannot be " + std::string(value.kind())};
    if (is_written(*flag, words)) continue;
    all.words.push_back("--" + key + "=" + *written);
    all.places.push_back({flag->get_name(), where});
  }
  return all;
}

std::string configuration_error(const ConfiguredWords& configured, const std::string& message) {
  for (const ConfiguredWords::Place& place : configured.places) {
    const size_t at = message.find(place.flag);
    const size_t end = at + place.flag.size();
    if (at == std::string::npos || (end < message.size() && message[end] == '-')) continue;
    return place.where + message;
  }
  return "";
}

}  // namespace kvasir

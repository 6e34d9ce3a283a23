#include "apps/vllm_flag_values.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/whole_file.h"
#include "wire/yaml.h"

namespace kvasir {
namespace {

using Json = nlohmann::ordered_json;

// vLLM also takes 80m and its like as numbers in its JSON.
std::string without_suffixes(std::string_view json) {
  std::string plain;
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char byte = json[i];
    if (byte == '"' && (i == 0 || json[i - 1] != '\\')) quoted = !quoted;
    const bool suffix = !quoted && i > 0 && json[i - 1] >= '0' && json[i - 1] <= '9' &&
                        std::string_view("kKmMgGtT").find(byte) != std::string_view::npos;
    if (!suffix) plain.push_back(byte);
  }
  return plain;
}

Json to_json(const Value& value) {
  if (const bool* boolean = value.boolean()) return *boolean;
  if (const int64_t* whole = value.integer()) return *whole;
  if (const std::optional<double> number = value.number()) return *number;
  if (const std::string* text = value.text()) return *text;
  if (const Value::List* list = value.list()) {
    Json items = Json::array();
    for (const Value& item : *list) items.push_back(to_json(item));
    return items;
  }
  if (const Value::Map* map = value.map()) {
    Json members = Json::object();
    for (const auto& [name, member] : *map) members[name] = to_json(member);
    return members;
  }
  return nullptr;
}

// As it would stand on a command line.
std::string argument_of(const Value& value) {
  const std::string* text = value.text();
  return text != nullptr ? *text
                         : to_json(value).dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace

std::optional<uint64_t> read_flag_count(std::string_view text) {
  constexpr std::string_view kSuffixes = "kmgtKMGT";
  uint64_t factor = 1;
  const size_t suffix = text.empty() ? std::string_view::npos : kSuffixes.find(text.back());
  const bool binary = suffix != std::string_view::npos && suffix >= 4;
  if (suffix != std::string_view::npos) {
    text.remove_suffix(1);
    for (size_t i = 0; i <= suffix % 4; ++i) factor *= binary ? 1024 : 1000;
  }
  double number = 0;
  const auto [end, failure] =
      std::from_chars(text.data(), text.data() + text.size(), number, std::chars_format::fixed);
  if (failure != std::errc() || end != text.data() + text.size()) return std::nullopt;
  const bool whole = text.find('.') == std::string_view::npos;
  if (number < 0 || (!whole && (factor == 1 || binary))) return std::nullopt;
  const double value = std::floor(number * static_cast<double>(factor));
  if (!(value <= 9e15)) return std::nullopt;  // beyond this a double is no longer exact
  return static_cast<uint64_t>(value);
}

bool is_broken_json(const std::string& value) {
  const size_t first = value.find_first_not_of(" \t\r\n");
  if (first == std::string::npos || value[first] != '{') return false;
  return !Json::accept(without_suffixes(value));
}

std::optional<bool> read_flag_truth(std::string_view text) {
  if (text == "true" || text == "True") return true;
  if (text == "false" || text == "False") return false;
  return std::nullopt;
}

Result<std::vector<std::string>> read_flag_file(const std::string& path) {
  const Result<std::string> text = read_whole_file(path, kYamlBytesMost);
  if (!text) return Error{"--config: " + text.error().message};
  const auto parsed = parse_yaml(*text);
  if (const Remark* problem = std::get_if<Remark>(&parsed)) {
    return Error{"--config: " + path + ":" + std::to_string(problem->line) + ": " + problem->text};
  }
  const Value& document = std::get<Value>(parsed);
  std::vector<std::string> arguments;
  if (document.is_null()) return arguments;
  if (document.map() == nullptr) {
    return Error{"--config: " + path + ": not a map of flags and values, but " +
                 std::string(document.kind())};
  }
  for (const auto& [name, value] : *document.map()) {
    if (value.is_null()) continue;
    if (const bool* on = value.boolean()) {
      arguments.push_back("--" + name + (*on ? "=true" : "=false"));
      continue;
    }
    const Value::List* list = value.list();
    if (list != nullptr && list->empty()) continue;
    arguments.push_back("--" + name);
    if (list == nullptr) {
      arguments.push_back(argument_of(value));
    } else {
      for (const Value& item : *list) arguments.push_back(argument_of(item));
    }
  }
  return arguments;
}

}  // namespace kvasir

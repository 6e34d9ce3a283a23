#include "apps/vllm_flag_values.h"

#include <charconv>
#include <cmath>
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "base/whole_file.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

using OrderedJson = nlohmann::ordered_json;

// vLLM also takes 80m and its like as numbers in its JSON.
std::string without_suffixes(std::string_view json) {
  std::string plain;
  bool quoted = false;
  for (size_t i = 0; i < json.size(); ++i) {
    const char byte = json[i];
    if (byte == '"' && (i == 0 || json[i - 1] != '\\')) quoted = !quoted;
    const bool suffix = !quoted && i > 0 && is_digit(json[i - 1]) &&
                        std::string_view("kKmMgGtT").find(byte) != std::string_view::npos;
    if (!suffix) plain.push_back(byte);
  }
  return plain;
}

OrderedJson to_json(const Value& value) {
  if (const bool* boolean = value.boolean()) return *boolean;
  if (const int64_t* whole = value.integer()) return *whole;
  if (const std::optional<double> number = value.number()) return *number;
  if (const std::string* text = value.text()) return *text;
  if (const Value::List* list = value.list()) {
    OrderedJson items = OrderedJson::array();
    for (const Value& item : *list) items.push_back(to_json(item));
    return items;
  }
  if (const Value::Map* map = value.map()) {
    OrderedJson members = OrderedJson::object();
    for (const auto& [name, member] : *map) members[name] = to_json(member);
    return members;
  }
  return nullptr;
}

// As it would stand on a command line.
std::string argument_of(const Value& value) {
  const std::string* text = value.text();
  return text != nullptr
             ? *text
             : to_json(value).dump(-1, ' ', false, OrderedJson::error_handler_t::replace);
}

Result<FlagFileEntry> entry_of(const std::string& name, const Value& value) {
  FlagFileEntry entry{value.line(), {"--" + name}, value.kind(), value.map() != nullptr};
  if (const bool* on = value.boolean()) {
    entry.arguments.front().append(*on ? "=true" : "=false");
  } else if (const Value::List* list = value.list()) {
    for (const Value& item : *list) {
      if (item.is_null() || item.list() != nullptr) {
        return Error{"--" + name + ": its list holds " + std::string(item.kind())};
      }
      entry.holds_map = entry.holds_map || item.map() != nullptr;
      entry.arguments.push_back(argument_of(item));
    }
  } else if (!value.is_null()) {
    entry.arguments.push_back(argument_of(value));
  }
  return entry;
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
  const size_t first = value.find_first_not_of(kJsonSpace);
  if (first == std::string::npos || value[first] != '{') return false;
  return !OrderedJson::accept(without_suffixes(value));
}

Result<std::string> with_json_member(const std::string& object, const std::string& path,
                                     const std::string& value) {
  OrderedJson whole = OrderedJson::parse(object, nullptr, false);
  if (!whole.is_object()) return Error{"not a JSON object: " + object.substr(0, 200)};
  OrderedJson* at = &whole;
  for (size_t begin = 0; begin <= path.size();) {
    const size_t dot = std::min(path.find('.', begin), path.size());
    const std::string name = path.substr(begin, dot - begin);
    if (name.empty()) return Error{"a member without a name"};
    if (!at->is_object()) *at = OrderedJson::object();
    at = &(*at)[name];
    begin = dot + 1;
  }
  *at = OrderedJson::parse(value, nullptr, false);
  if (at->is_discarded()) *at = value;
  return whole.dump();
}

std::optional<bool> read_flag_truth(std::string_view text) {
  if (text == "true" || text == "True") return true;
  if (text == "false" || text == "False") return false;
  return std::nullopt;
}

Result<std::vector<FlagFileEntry>> read_flag_file(const std::string& path) {
  const Result<std::string> text = read_whole_file(path, kYamlBytesMost);
  if (!text) return Error{"--config: " + text.error().message};
  const auto problem = [&](const Remark& remark) {
    return Error{"--config: " + path + ":" + std::to_string(remark.line) + ": " + remark.text};
  };
  const auto parsed = parse_yaml(*text);
  if (const Remark* remark = std::get_if<Remark>(&parsed)) return problem(*remark);
  const Value& document = std::get<Value>(parsed);
  std::vector<FlagFileEntry> entries;
  if (document.is_null()) return entries;
  if (document.map() == nullptr) {
    return Error{"--config: " + path + ": not a map of flags and values, but " +
                 std::string(document.kind())};
  }
  for (const auto& [name, value] : *document.map()) {
    const Result<FlagFileEntry> entry = entry_of(name, value);
    if (!entry) return problem({value.line(), entry.error().message});
    entries.push_back(*entry);
  }
  return entries;
}

}  // namespace kvasir

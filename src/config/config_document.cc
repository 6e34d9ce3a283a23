#include "config/config_document.h"

#include "config/config_profiles.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

std::string_view line_at(std::string_view text, int line) {
  for (int at = 1; at < line; ++at) {
    const size_t end = text.find('\n');
    if (end == std::string_view::npos) return "";
    text.remove_prefix(end + 1);
  }
  return text.substr(0, text.find('\n'));
}

// Does the block "key: |" begin here? Then each line of the value is one line of the file.
bool begins_literal_block(std::string_view line) {
  line = line.substr(0, line.find(" #"));
  const size_t bar = line.rfind('|');
  return bar != std::string_view::npos &&
         line.find_first_not_of("|+-0123456789 \t\r", bar) == std::string_view::npos;
}

std::string quoted_keys(const Value::Map& map) {
  std::string names;
  for (const auto& entry : map) names += (names.empty() ? "'" : ", '") + entry.first + "'";
  return names.empty() ? "none" : names;
}

Value parse_into(std::string_view text, int lines_before, ConfigReading& reading) {
  auto parsed = parse_yaml(text, lines_before);
  if (const Remark* problem = std::get_if<Remark>(&parsed)) {
    reading.errors.push_back(*problem);
    return Value();
  }
  return std::get<Value>(std::move(parsed));
}

bool is_config_map(const Value& document) {
  const Value* kind = document.find("kind");
  return kind != nullptr && kind->text() != nullptr && *kind->text() == "ConfigMap";
}

// The only entry of the ConfigMap's data; null when there are none or several.
const Value* only_entry(const Value& config_map, ConfigReading& reading) {
  const Value* data = config_map.find("data");
  const Value::Map* entries = data != nullptr ? data->map() : nullptr;
  if (entries == nullptr) {
    reading.errors.push_back(
        Remark{config_map.line(), "ConfigMap: data must be a map that holds one configuration"});
    return nullptr;
  }
  if (entries->size() != 1 || entries->front().second.text() == nullptr) {
    reading.errors.push_back(Remark{
        data->line(), "ConfigMap: data must hold exactly one configuration as text; its keys are " +
                          quoted_keys(*entries)});
    return nullptr;
  }
  reading.notes.push_back(
      Remark{entries->front().second.line(),
             "read the configuration '" + entries->front().first + "' of a ConfigMap"});
  return &entries->front().second;
}

}  // namespace

Value read_config_document(std::string_view text, ConfigReading& reading) {
  Value document = parse_into(text, 0, reading);
  if (is_scheduler_install(document)) {
    return parse_into(config_profile_of(document, reading), 0, reading);
  }
  if (!is_config_map(document)) return document;
  const Value* entry = only_entry(document, reading);
  if (entry == nullptr) return Value();
  const bool literal = begins_literal_block(line_at(text, entry->line()));
  if (!literal) {
    reading.notes.push_back(Remark{
        entry->line(), "not a literal block ('|'): lines below count from the start of this text"});
  }
  return parse_into(*entry->text(), literal ? entry->line() : 0, reading);
}

}  // namespace kvasir

#include "config/read_endpoint_picker_config.h"

#include <algorithm>

#include "config/config_document.h"
#include "config/config_lint.h"
#include "config/config_rules.h"
#include "config/seed_config.h"
#include "config/upstream_config.h"

namespace kvasir {
namespace {

void sort_by_line(std::vector<Remark>& remarks) {
  std::stable_sort(remarks.begin(), remarks.end(),
                   [](const Remark& left, const Remark& right) { return left.line < right.line; });
}

void keep_first(std::vector<Remark>& errors) {
  if (errors.size() <= kConfigErrorsMost) return;
  const size_t more = errors.size() - kConfigErrorsMost;
  const int line = errors[kConfigErrorsMost].line;
  errors.resize(kConfigErrorsMost);
  errors.push_back(Remark{line, "and " + std::to_string(more) + " more errors"});
}

bool is_empty(const Value& value) {
  if (value.is_null()) return true;
  if (value.list() != nullptr) return value.list()->empty();
  return value.map() != nullptr && value.map()->empty();
}

// Does it configure anything at all?
bool says_something(const Value& document) {
  if (is_empty(document)) return false;
  if (document.map() == nullptr) return true;
  return std::any_of(document.map()->begin(), document.map()->end(), [](const auto& entry) {
    return entry.first != "apiVersion" && entry.first != "kind" && entry.first != "metadata" &&
           !is_empty(entry.second);
  });
}

size_t plugins_listed(const Value& document) {
  const Value* plugins = document.find("plugins");
  return plugins != nullptr && plugins->list() != nullptr ? plugins->list()->size() : 0;
}

// fleet.yaml of `kvasir up` has no kind.
bool is_fleet(const Value& document) {
  return document.find("workers") != nullptr && document.find("kind") == nullptr &&
         document.find("plugins") == nullptr;
}

void read_document(const Value& document, ConfigReading& reading,
                   std::span<const PluginTypeFacts> types) {
  if (is_seed_config(document)) {
    read_seed_config(document, types, reading);
  } else {
    read_upstream_config(document, reading);
  }
  const bool says_nothing = reading.config.plugins.empty() && reading.config.profiles.empty();
  if (says_nothing && reading.ok()) {
    EndpointPickerConfig defaults = default_endpoint_picker_config();
    reading.config.plugins = std::move(defaults.plugins);
    reading.config.profiles = std::move(defaults.profiles);
    reading.notes.push_back(Remark{0, "default: no plugins are configured: the default ones"});
  }
  complete_config(reading, types);
  check_config(reading, types);
  append(reading.warnings, lint_config(reading.config, types));
}

}  // namespace

ConfigReading read_endpoint_picker_config(std::string_view text,
                                          std::span<const PluginTypeFacts> types) {
  ConfigReading reading;
  const Value document = read_config_document(text, reading);
  if (!reading.ok()) return reading;
  if (is_fleet(document)) {
    reading.errors.push_back(
        Remark{document.line(),
               "this is a fleet for kvasir up -f, not a configuration: its key "
               "gateway.config names one"});
    return reading;
  }
  reading.says_something = says_something(document);
  reading.plugins_listed = plugins_listed(document);
  if (document.is_null()) {
    reading.config = default_endpoint_picker_config();
    reading.notes.push_back(Remark{0, "default: nothing is configured: the default configuration"});
    return reading;
  }
  read_document(document, reading, types);
  sort_by_line(reading.errors);
  keep_first(reading.errors);
  sort_by_line(reading.warnings);
  sort_by_line(reading.notes);
  return reading;
}

}  // namespace kvasir

#include "apps/keys_text.h"

#include <fmt/format.h>

#include "wire/json/json_text.h"
#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

// In quotes, as JSON has them, unless YAML reads the same without.
std::string yaml_text(const std::string& text) {
  const std::variant<Value, Remark> read = parse_yaml("[" + text + "]");
  const auto* root = std::get_if<Value>(&read);
  const Value::List* list = root == nullptr ? nullptr : root->list();
  if (list != nullptr && list->size() == 1 && list->front().text() != nullptr &&
      *list->front().text() == text) {
    return text;
  }
  std::string json = "\"";
  append_json_escaped(text, json);
  return json + "\"";
}

std::string counted_keys(size_t count, const char* what) {
  return fmt::format("{} {}{}", count, what, count == 1 ? "" : "s");
}

}  // namespace

std::string keys_entry_text(const KeysEntryText& entry) {
  std::string text =
      fmt::format("- name: {}\n  keys:\n  - {}\n", yaml_text(entry.name), entry.hash);
  const std::pair<const char*, const std::optional<int64_t>&> numbers[] = {
      {"requests-per-minute", entry.requests_per_minute},
      {"tokens-per-minute", entry.tokens_per_minute},
      {"concurrency", entry.concurrency},
      {"priority", entry.priority}};
  for (const auto& [name, number] : numbers) {
    if (number) text += fmt::format("  {}: {}\n", name, *number);
  }
  if (!entry.fairness_id.empty())
    text += fmt::format("  fairness-id: {}\n", yaml_text(entry.fairness_id));
  if (!entry.models.empty()) {
    text += "  models: [";
    for (size_t i = 0; i < entry.models.size(); ++i) {
      text += (i == 0 ? "" : ", ") + yaml_text(entry.models[i]);
    }
    text += "]\n";
  }
  if (!entry.expires.empty()) text += fmt::format("  expires: {}\n", yaml_text(entry.expires));
  return text;
}

std::string keys_table_text(const TenantTable& table, WallSeconds now) {
  std::string text;
  for (const auto& tenant : table.tenants()) {
    text += tenant->name + ": ";
    const TenantLimits& limits = tenant->limits;
    if (limits.requests_per_minute) {
      text += fmt::format("{} requests a minute, ", *limits.requests_per_minute);
    }
    if (limits.tokens_per_minute) {
      text += fmt::format("{} tokens a minute, ", *limits.tokens_per_minute);
    }
    if (limits.concurrency) text += fmt::format("{} at one time, ", *limits.concurrency);
    if (!limits.any()) text += "no limit, ";
    if (tenant->priority) text += fmt::format("priority {}, ", *tenant->priority);
    if (tenant->fairness_id != tenant->name) {
      text += fmt::format("fairness id {}, ", tenant->fairness_id);
    }
    text += tenant->models.empty() ? "every model" : "models";
    for (const std::string& model : tenant->models) text += " " + model;
    text += '\n';
  }
  const size_t expired = table.expired_keys(now);
  text += counted_keys(table.tenants().size(), "tenant") + ", " + counted_keys(table.keys(), "key");
  if (expired > 0) text += fmt::format(", {} of them expired", expired);
  return text + "\n";
}

}  // namespace kvasir

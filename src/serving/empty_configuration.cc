#include "serving/empty_configuration.h"

#include <algorithm>
#include <variant>

#include "wire/yaml/yaml.h"

namespace kvasir {
namespace {

bool says_nothing(const Value& value) {
  if (value.is_null()) return true;
  if (value.list() != nullptr) return value.list()->empty();
  return value.map() != nullptr && value.map()->empty();
}

}  // namespace

bool configures_nothing(std::string_view text) {
  const std::variant<Value, Remark> parsed = parse_yaml(text);
  const Value* document = std::get_if<Value>(&parsed);
  if (document == nullptr) return false;
  if (says_nothing(*document)) return true;
  if (document->map() == nullptr) return false;
  return std::all_of(document->map()->begin(), document->map()->end(), [](const auto& entry) {
    return entry.first == "apiVersion" || entry.first == "kind" || entry.first == "metadata" ||
           says_nothing(entry.second);
  });
}

size_t plugins_named(std::string_view text) {
  const std::variant<Value, Remark> parsed = parse_yaml(text);
  const Value* document = std::get_if<Value>(&parsed);
  const Value* plugins = document != nullptr ? document->find("plugins") : nullptr;
  return plugins != nullptr && plugins->list() != nullptr ? plugins->list()->size() : 0;
}

std::string empty_configuration_note(std::string_view name) {
  return std::string(name) + ": it configures nothing; the default configuration is in use";
}

std::string empty_configuration_refusal(std::string_view name) {
  return std::string(name) +
         ": it configures nothing (was it emptied, or cut short?); to go back to the defaults, "
         "start again with it";
}

}  // namespace kvasir

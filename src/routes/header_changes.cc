#include "routes/header_changes.h"

#include <algorithm>

#include "base/text.h"
#include "net/http/proxy_head.h"

namespace kvasir {
namespace {

// Whether none of the fields of that name stays.
bool is_replaced(const HeaderModifier& modifier, std::string_view name) {
  const auto is_it = [name](const std::string& other) { return equal_ignoring_case(name, other); };
  return std::any_of(modifier.remove.begin(), modifier.remove.end(), is_it) ||
         std::any_of(modifier.set.begin(), modifier.set.end(),
                     [&](const HeaderModifier::Field& field) { return is_it(field.name); });
}

}  // namespace

void change_head(const HeaderModifier& modifier, HttpHead& head) {
  for (const std::string& name : modifier.remove) head.remove_fields(name);
  for (const HeaderModifier::Field& field : modifier.set) {
    head.remove_fields(field.name);
    head.add_field(field.name, field.value);
  }
  for (const HeaderModifier::Field& field : modifier.add) head.add_field(field.name, field.value);
}

std::string changed_fields(const HeaderModifier& modifier, std::string_view fields) {
  std::string changed =
      fields_without(fields, [&](std::string_view name) { return is_replaced(modifier, name); });
  for (const auto* list : {&modifier.set, &modifier.add}) {
    for (const HeaderModifier::Field& field : *list) append_field(changed, field.name, field.value);
  }
  return changed;
}

}  // namespace kvasir

#include "config/config_reading.h"

#include "base/parameters.h"

namespace kvasir {

std::string read_plugin_ref(const Value* value, const std::string& owner,
                            std::vector<Remark>& errors) {
  if (value == nullptr || value->is_null()) return "";
  Parameters fields(*value, owner, "field");
  const std::string name = fields.text("pluginRef", "");
  if (value->map() != nullptr && name.empty() && fields.problems().empty()) {
    fields.fail("pluginRef", "is missing; name one of the plugins");
  }
  append(errors, fields.problems());
  return name;
}

const Value::List& read_list(const Value* value, const std::string& owner,
                             std::vector<Remark>& errors) {
  static const Value::List kNone;
  if (value == nullptr || value->is_null()) return kNone;
  if (const Value::List* list = value->list()) return *list;
  errors.push_back(
      Remark{value->line(), owner + " must be a list, not " + std::string(value->kind())});
  return kNone;
}

}  // namespace kvasir

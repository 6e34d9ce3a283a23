#include "plugins/filter/label_value_filters.h"

#include <algorithm>

#include "base/parameters.h"
#include "fleet/fleet.h"
#include "plugins/filter/absent_label.h"

namespace kvasir {
namespace {

constexpr const char* kRole = "llm-d.ai/role";
constexpr const char* kPrefillRoles[] = {"prefill", "encode-prefill", "prefill-decode", "both",
                                         "encode-prefill-decode"};

class LabelValueFilter final : public Filter {
 public:
  LabelValueFilter(std::string label, std::vector<std::string> values, bool without_label)
      : label_(std::move(label)), values_(std::move(values)), without_label_(without_label) {}

  void filter(const Cycle& cycle, std::vector<EndpointId>& candidates) const override {
    std::erase_if(candidates, [&](EndpointId id) {
      const std::string* value = cycle.fleet.endpoints[index_of(id)].endpoint->label(label_);
      if (value == nullptr) return !without_label_;
      return std::find(values_.begin(), values_.end(), *value) == values_.end();
    });
  }

  std::string why_nobody(const Cycle& cycle) const override { return absent_label(cycle, label_); }

 private:
  const std::string label_;
  const std::vector<std::string> values_;
  const bool without_label_;
};

MadePlugin make_by_label(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  const std::string label = parameters.text("label", "");
  std::vector<std::string> values = parameters.texts("validValues");
  const bool without_label = parameters.boolean("allowsNoLabel", false);
  if (label.empty()) parameters.fail("label", "is missing");
  if (values.empty() && !without_label) {
    parameters.fail("validValues", "is empty and allowsNoLabel false: nobody could pass");
  }
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<LabelValueFilter>(label, std::move(values), without_label);
}

PluginType role_filter(std::string type, std::vector<std::string> roles, bool without_label) {
  const auto make = [roles = std::move(roles), without_label](
                        std::string_view name, const Value& value, PluginContext&) -> MadePlugin {
    if (const auto problems = Parameters(value, name).problems(); !problems.empty())
      return problems;
    return make_plugin<LabelValueFilter>(kRole, roles, without_label);
  };
  return {std::move(type), make};
}

}  // namespace

PluginType by_label_plugin() {
  return {"by-label", make_by_label, Stability::kDeprecated, "label-selector-filter"};
}

PluginType decode_filter_plugin() {
  return role_filter("decode-filter", {"decode", "prefill-decode", "both", "encode-prefill-decode"},
                     true);
}

PluginType prefill_filter_plugin() {
  return role_filter("prefill-filter", {std::begin(kPrefillRoles), std::end(kPrefillRoles)}, false);
}

bool may_prefill(const Endpoint& endpoint) {
  const std::string* role = endpoint.label(kRole);
  return role != nullptr && std::find(std::begin(kPrefillRoles), std::end(kPrefillRoles), *role) !=
                                std::end(kPrefillRoles);
}

PluginType encode_filter_plugin() {
  return role_filter("encode-filter", {"encode", "encode-prefill", "encode-prefill-decode"}, false);
}

}  // namespace kvasir

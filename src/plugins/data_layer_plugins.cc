#include "plugins/data_layer_plugins.h"

#include "base/parameters.h"

namespace kvasir {
namespace {

class WithoutEffect final : public Plugin {};

PluginType type_of(const char* name, const char* why, PluginType::Make make) {
  PluginType type{name, std::move(make)};
  type.note = std::string("has no effect here: ") + why;
  return type;
}

MadePlugin make_any(std::string_view, const Value&, PluginContext&) {
  return make_plugin<WithoutEffect>();
}

MadePlugin make_notifications(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  parameters.text("group", "");
  if (parameters.text("version", "").empty()) parameters.fail("version", "is missing");
  if (parameters.text("kind", "").empty()) parameters.fail("kind", "is missing");
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<WithoutEffect>();
}

MadePlugin make_models(std::string_view name, const Value& value, PluginContext&) {
  Parameters parameters(value, name);
  parameters.choice("scheme", "http", {"http", "https"});
  parameters.text("path", "/v1/models");
  parameters.boolean("insecureSkipVerify", true);
  for (const char* file : {"caCertPath", "clientCertPath", "clientKeyPath"})
    parameters.text(file, "");
  parameters.duration("interval", Duration::zero());
  if (const auto problems = parameters.problems(); !problems.empty()) return problems;
  return make_plugin<WithoutEffect>();
}

}  // namespace

PluginType endpoint_notification_source_plugin() {
  return type_of("endpoint-notification-source", "endpoints that come and go are followed unasked",
                 make_any);
}

PluginType k8s_notification_source_plugin() {
  return type_of("k8s-notification-source", "there is no Kubernetes to watch", make_notifications);
}

PluginType models_data_source_plugin() {
  return type_of("models-data-source", "no plugin reads what it would gather", make_models);
}

PluginType models_data_extractor_plugin() {
  return type_of("models-data-extractor", "no plugin reads what it would gather", make_any);
}

}  // namespace kvasir

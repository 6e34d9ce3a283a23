// endpoint-notification-source, k8s-notification-source, models-data-source and
// models-data-extractor: parts of llm-d's data layer that nothing here reads from. A configuration
// that names them starts; that they have no effect is told at start.
//
// Formula: none. endpoint-notification-source: whoever wants to hear of endpoints that come and go
//   does so unasked. k8s-notification-source: there is no Kubernetes to watch, as in upstream's own
//   mode without it. models-*: upstream gathers every endpoint's list of models too, and none of its
//   plugins reads it.
// Inputs: none.
// Parameters: of k8s-notification-source group, version and kind (the last two required); of
//   models-data-source scheme (http), path (/v1/models), insecureSkipVerify, caCertPath,
//   clientCertPath, clientKeyPath, interval. They are checked.
//
//   - type: endpoint-notification-source
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType endpoint_notification_source_plugin();
PluginType k8s_notification_source_plugin();
PluginType models_data_source_plugin();
PluginType models_data_extractor_plugin();

}  // namespace kvasir

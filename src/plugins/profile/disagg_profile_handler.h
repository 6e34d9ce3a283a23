// disagg-profile-handler, pd-profile-handler (deprecated), disagg-headers-handler (deprecated) and
// prefill-header-handler (deprecated): prefill and decode on endpoints of their own.
//
// Formula, decode-first: the decode profile runs; when the decider says so, the prefill profile.
//   The decode profile's choice is primary, the prefill profile's is where the prompt is prefilled.
//   prefill-first: the prefill profile runs first whenever it is configured, without a decider.
//   Of a request whose other leg is placed already (by a gateway that carries both) one runs alone.
//   When a stage that ran finds nobody the request is refused: prefilling on the decode endpoint
//   would hide that prefill endpoints are missing.
// Inputs: the deciders' own. The encode stage is configured like upstream's, but no request says
//   yet whether it has images, so it never runs.
//   A configuration with one profile decodes with it, whatever its name.
// Parameters: stageOrder (decode-first; prefill-first), profiles {decode, prefill, encode} (those
//   names), deciders {prefill, encode} (none: that stage never runs); or flat: decodeProfile,
//   prefillProfile, encodeProfile, prefillDeciderPluginName (or deciderPluginName),
//   encodeDeciderPluginName. pd-profile-handler: decodeProfile, prefillProfile, deciderPluginName
//   (prefix-based-pd-decider when one is configured), threshold (of its first versions, instead of
//   a decider: prefill apart when so many bytes of the prompt are not cached on the decode
//   endpoint; 0: always); prefixPluginType, prefixPluginName, prefixMatchInfoProducerName,
//   hashBlockSize and primaryPort are accepted and without effect. disagg-headers-handler and
//   prefill-header-handler are accepted and do nothing: the decision says what they wrote into a
//   header.
//
//   - type: disagg-profile-handler
//     parameters: {deciders: {prefill: prefix-based-pd-decider}}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType disagg_profile_handler_plugin();
PluginType pd_profile_handler_plugin();
// disagg-headers-handler and prefill-header-handler (deprecated): accepted, and without effect:
// Decision::prefill says what they wrote into a header.
PluginType disagg_headers_handler_plugin();
PluginType prefill_header_handler_plugin();

}  // namespace kvasir

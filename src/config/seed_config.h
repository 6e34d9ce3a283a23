// The configuration shape of seeds/llm_d_inference_service.md: profiles with
// plugins.{filter,score,scrape}.enabled and a list pluginConfig, in PascalCase names. It is
// translated to the same values as llm-d's own shape, and each translation leaves a note, so that
// the user sees what was understood.
//
// What changes in translation:
//  - DecodeFilter and PrefillFilter in one profile: one after the other they would leave nobody in
//  a fleet whose
//    endpoints have one role each. It becomes a profile `decode` and a profile `prefill` with the
//    same scorers (session affinity in `decode` only), run by disagg-profile-handler.
//  - Several profiles: the request header EPP-Profile chooses (header-profile-handler), otherwise
//  the first runs.
//  - Scrapers take the place of the data layer's default metrics.
#pragma once

#include <span>

#include "config/config_reading.h"
#include "config/plugin_types.h"

namespace kvasir {

// Has the document the seed's shape, rather than llm-d's?
bool is_seed_config(const Value& document);

// Fills reading.config. llm-d's own plugin names may stand among the seed's.
void read_seed_config(const Value& document, std::span<const PluginTypeFacts> types,
                      ConfigReading& reading);

}  // namespace kvasir

// header-profile-handler (alpha): runs the profile that a request header names.
//
// Formula: only one profile: that one. Else the one the header names; no header, or an empty one:
//   defaultProfile; a name that no profile has: the request is refused.
// Inputs: the header, whatever the case of its name.
// Parameters: headerName (EPP-Profile), defaultProfile (decode).
//
//   - type: header-profile-handler
//     parameters: {headerName: x-stage, defaultProfile: decode}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType header_profile_handler_plugin();

}  // namespace kvasir

// session-id-producer: the session a request belongs to, from a header or a cookie.
//
// Formula: the value of the header or the cookie, as it is.
// Inputs: the header, or the cookie of that name; without it, or empty, the request has no session.
// Parameters: headerName (x-session-id) or cookieName, not both.
//
//   - type: session-id-producer
//     parameters: {cookieName: session}
#pragma once

#include "scheduling/registry.h"

namespace kvasir {

PluginType session_id_producer_plugin();

}  // namespace kvasir

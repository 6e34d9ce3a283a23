// The endpoints that a gateway's subset hint names.
#pragma once

#include <string>
#include <vector>

#include "epp/epp_options.h"
#include "model/endpoint.h"

namespace kvasir {

struct Snapshot;

// Into `found`, ascending. An empty subset names nobody.
void endpoints_in_subset(const Snapshot& fleet, const std::vector<std::string>& subset,
                         SubsetMatch match, std::vector<EndpointId>& found);

}  // namespace kvasir

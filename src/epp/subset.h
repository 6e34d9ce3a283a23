// The endpoints that a gateway's subset hint names.
#pragma once

#include <string>
#include <vector>

#include "model/endpoint.h"
#include "wire/ext_proc/subset_match.h"

namespace kvasir {

struct Snapshot;

// Into `found`, ascending. An empty subset names nobody.
void endpoints_in_subset(const Snapshot& fleet, const std::vector<std::string>& subset,
                         SubsetMode mode, std::vector<EndpointId>& found);

}  // namespace kvasir

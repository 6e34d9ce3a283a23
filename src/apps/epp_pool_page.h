// What the fleet's engines say of themselves, as metrics of the pool: worked out when the page is,
// from the snapshot of that moment.
#pragma once

#include <string>

#include "base/clock.h"
#include "fleet/fleet.h"

namespace kvasir {

// Endpoints whose metrics are older than `staleness` at `now`, or were never read, are left out of
// averages; an average of nobody is left out too.
std::string epp_pool_page(const Snapshot& fleet, const std::string& pool, TimePoint now,
                          Duration staleness);

}  // namespace kvasir

// Every flag of upstream's picker. docs/EPP.md shows the same table.
#pragma once

#include <span>

#include "apps/upstream_flags.h"

namespace kvasir {

// In the order of upstream's own list; src/apps/epp_flags.cc adds the honoured ones.
std::span<const UpstreamFlag> epp_upstream_flags();

}  // namespace kvasir

// Plays a scenario against the real scheduler, on a clock that only the scenario moves.
#pragma once

#include <string>
#include <vector>

#include "base/remark.h"
#include "scenario.h"

namespace kvasir {

// Everything that came out otherwise than the scenario expects, each with its line; none: it holds.
std::vector<Remark> play(const Scenario& scenario);

}  // namespace kvasir

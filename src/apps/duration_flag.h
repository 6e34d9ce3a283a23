// Durations on the command line, as Go's flags write them.
#pragma once

#include <CLI/CLI.hpp>

namespace kvasir {

// Turns "50ms", "5s" or "1h30m" into seconds, for an option that holds a double; a bare number is seconds already.
CLI::Validator as_seconds();

}  // namespace kvasir

// What a program says on standard output is its product: losing it is a failure.
#pragma once

#include <cstdio>
#include <ostream>

#include "base/result.h"

namespace kvasir {

// Writes out what the two still hold, which both lead to one file. An error when any of it was
// lost, now or before.
Result<void> flush_output(std::ostream& stream, std::FILE* file);

}  // namespace kvasir

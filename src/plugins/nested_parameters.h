// For plugins whose parameters hold objects: all that is wrong in any of them is told at once.
#pragma once

#include <initializer_list>
#include <string>

#include "base/parameters.h"

namespace kvasir {

// The problems of all, in this order, as Parameters::finish() tells those of one.
inline Result<void> finish_all(std::initializer_list<const Parameters*> all) {
  std::string text;
  for (const Parameters* parameters : all) {
    if (const Result<void> read = parameters->finish(); !read) {
      text.append(text.empty() ? "" : "\n").append(read.error().message);
    }
  }
  if (text.empty()) return {};
  return Error{text};
}

}  // namespace kvasir

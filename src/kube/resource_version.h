// The order of resource versions.
#pragma once

#include <algorithm>
#include <string_view>

#include "base/text.h"

namespace kvasir {

// Whether `a` is known to be older than `b`, both of the same resource. They are texts that only
// equality may compare, unless both are positive whole numbers without leading zeros, of any
// length: those may be ordered as numbers (Kubernetes 1.35, KEP-5504 "Comparable Resource Version";
// earlier servers number them in the same way).
inline bool is_older_version(std::string_view a, std::string_view b) {
  const auto is_number = [](std::string_view text) {
    return !text.empty() && text.front() != '0' && std::all_of(text.begin(), text.end(), is_digit);
  };
  if (!is_number(a) || !is_number(b)) return false;
  return a.size() != b.size() ? a.size() < b.size() : a < b;
}

}  // namespace kvasir
